export { RivuletClient, type RivuletEvents, type RivuletOptions } from "./client";
export type { ConnectionState, WebSocketClass } from "./connection";
export type { Conversation, Message } from "./conversation";
export { liveRun } from "./conversation";
export type * from "./frames";
export type { Outgoing } from "./outbox";
export type { Run } from "./run";
