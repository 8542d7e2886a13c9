/** What applications may use. */
export { answered, answersTo, RivuletError } from "./answered.js";
export { RivuletClient } from "./client.js";
export type { ConnectionState, WebSocketClass, WebSocketLike } from "./connection.js";
export type { Conversation, Message, Presence } from "./conversation.js";
export { liveRun } from "./conversation.js";
export { Emitter } from "./emitter.js";
export { type Credentials, Endpoint, NotSignedIn } from "./endpoint.js";
export type * from "./frames.js";
export type { SessionStorageLike } from "./memory.js";
export type { RivuletEvents, RivuletOptions } from "./options.js";
export { newMessageId, type Outgoing } from "./outbox.js";
export type { Run } from "./run.js";
