"use client";
import type { Approval, ToolCall } from "@rivulet/client";
import { Fragment, type ReactNode } from "react";
import { useRivulet } from "./hooks.js";

/** A call of a tool that waits for a word, and the two words. */
export interface Waiting {
  readonly call: ToolCall & { approval: Approval };
  approve(comment?: string): void;
  deny(comment?: string): void;
}

export interface ApprovalsProps {
  /** Instead of a group with the call's title, its arguments as JSON, and two buttons. */
  children?: (waiting: Waiting) => ReactNode;
  approveLabel?: string;
  denyLabel?: string;
}

/** The calls that wait for who is asking here. Those that somebody else has to decide about are left out. */
export function Approvals(props: ApprovalsProps): ReactNode {
  const { children, approveLabel = "Approve", denyLabel = "Deny" } = props;
  const { messages, approve, client } = useRivulet();
  const decided = new Set(
    client.outgoing.flatMap(({ frame }) => (frame.type === "approve" ? [frame.approval] : [])),
  );
  const calls = messages.flatMap(({ tools }) => tools.filter(isForUser));
  return calls
    .filter(({ approval }) => !decided.has(approval.id))
    .map((call) => {
      const waiting: Waiting = {
        call,
        approve: (comment) => approve(call.call, "approved", comment),
        deny: (comment) => approve(call.call, "denied", comment),
      };
      if (children) return <Fragment key={call.call}>{children(waiting)}</Fragment>;
      return (
        <fieldset key={call.call} data-part="approval">
          <legend>{call.title}</legend>
          <pre>{JSON.stringify(call.args, null, 2)}</pre>
          <button type="button" onClick={() => waiting.approve()}>
            {approveLabel}
          </button>
          <button type="button" onClick={() => waiting.deny()}>
            {denyLabel}
          </button>
        </fieldset>
      );
    });
}

function isForUser(call: ToolCall): call is Waiting["call"] {
  return call.status === "waiting" && call.approval?.approver === "user";
}
