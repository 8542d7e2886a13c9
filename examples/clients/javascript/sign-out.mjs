/** Takes back the token of RIVULET_TOKEN: it opens nothing any more, and what it had opened is closed within a second. */
import { fromEnvironment } from "./gateway.mjs";

await fromEnvironment().send("auth/revoke");
