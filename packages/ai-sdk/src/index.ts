/** What applications may use. */
export { RivuletChatTransport, type RivuletChatTransportOptions } from "./transport.js";
