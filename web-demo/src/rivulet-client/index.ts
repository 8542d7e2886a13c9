export { RivuletClient } from "./client";
export type { ConnectionState, WebSocketClass } from "./connection";
export type { Conversation, Message, Presence } from "./conversation";
export { liveRun } from "./conversation";
export { type Credentials, Endpoint, NotSignedIn } from "./endpoint";
export type * from "./frames";
export type { RivuletEvents, RivuletOptions } from "./options";
export { newMessageId, type Outgoing } from "./outbox";
export type { Run } from "./run";
