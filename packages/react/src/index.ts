/** What applications may use. */
export type {
  Approval,
  ConnectionState,
  Decision,
  Message,
  RivuletOptions,
  ToolCall,
} from "@rivulet/client";
export { Approvals, type ApprovalsProps, type Waiting } from "./approvals.js";
export { Composer, type ComposerProps } from "./composer.js";
export { RivuletProvider, type RivuletProviderProps, useRivulet } from "./hooks.js";
export type { Rivulet } from "./rivulet.js";
export type { ChatStatus, ShownMessage } from "./shown.js";
export { Message as MessageView, type MessageProps, Thread, type ThreadProps } from "./thread.js";
