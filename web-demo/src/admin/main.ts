/** Puts the admin page together: what it asks the gateway for, how often, and who shows it. */
import "../styles/page.css";
import "../styles/documents.css";
import "../styles/sign-in.css";
import "../styles/admin.css";
import { Endpoint, NotSignedIn } from "@rivulet/client";
import { Problem, problemText } from "../documents/problem";
import { byId } from "../page/element";
import { mountTheme } from "../page/theme";
import { Account } from "../sign-in/account";
import { arrivalOf } from "../sign-in/arrival";
import { SignInCard } from "../sign-in/card";
import { SignIn, tabStorage } from "../sign-in/sign-in";
import { AdminApi } from "./api";
import { AuditView } from "./audit-view";
import { CachesView } from "./caches-view";
import { Drain } from "./drain";
import { FeedbackView } from "./feedback-view";
import { History } from "./history";
import { JobsView } from "./jobs-view";
import { LimitsView } from "./limits-view";
import { Poller } from "./poller";
import { write } from "./rows";
import { SessionsView } from "./sessions-view";
import { TargetsView } from "./targets-view";
import { Tiles } from "./tiles";
import { duration } from "./words";

// How often what is asked for: together well below what one may ask in a minute.
const STATS_MS = 2_000;
const SESSIONS_MS = 4_000;
const JOBS_MS = 10_000;
const SLOW_MS = 30_000;

const arrival = arrivalOf(location.href);
if (arrival.clean !== null) history.replaceState(null, "", arrival.clean);

const here = new URL(".", location.href).href;
const signIn = new SignIn({ base: here, arrival, storage: tabStorage() });
const api = new AdminApi(new Endpoint(here, { token: signIn.token }));

const seen = new History();
const tiles = new Tiles(byId("tiles"));
const targets = new TargetsView();
const sessions = new SessionsView();
const limits = new LimitsView();
const caches = new CachesView();
const jobs = new JobsView();
const feedback = new FeedbackView();
const audit = new AuditView(api);
const drain = new Drain(api, say);
const state = byId("state");
let keepsDocuments = false;

async function showStats(): Promise<void> {
  const stats = await api.stats();
  const now = Date.now();
  seen.add(stats, now);
  tiles.show(seen, stats, now);
  targets.show(stats);
  limits.show(seen, stats);
  caches.show(stats.gateway?.caches ?? []);
  jobs.showWhole(stats);
  keepsDocuments = stats.documents;
  byId("jobs-panel").hidden = !keepsDocuments;
  drain.show(stats, signIn.standing.name === "in");
  for (const part of document.querySelectorAll<HTMLElement>("[data-whole]"))
    part.hidden = stats.gateway === null;
  const up = stats.gateway ? ` · up for ${duration(stats.gateway.up_s)}` : "";
  write(byId("whose"), stats.tenant === null ? "All tenants" : `Tenant ${stats.tenant}`);
  write(byId("version"), `rivulet ${stats.version}${up}`);
  document.body.dataset.seen = "";
  if (stats.draining) tell("leaving", "Draining");
  else tell("live", "Live");
}

const pollers = [
  poller(STATS_MS, showStats),
  poller(SESSIONS_MS, async () => sessions.show(await api.sessions())),
  poller(JOBS_MS, showJobs),
  poller(SLOW_MS, async () => feedback.show(await api.feedback())),
  poller(SLOW_MS, () => audit.refresh()),
];

/** Where no documents are kept there is no work on them. */
async function showJobs(): Promise<void> {
  if (keepsDocuments) jobs.show(await api.jobs());
}

function poller(everyMs: number, ask: () => Promise<void>): Poller {
  return new Poller({ everyMs, ask, failed });
}

/** Who may not see this has to be somebody else first; all other trouble passes. */
function failed(error: unknown): boolean {
  const status = error instanceof Problem ? error.status : -1;
  if (status === 403) signIn.forbidden();
  if (status === 401 || status === 403) {
    tell("ended", "Not signed in");
    return true;
  }
  if (status === -1) throw error;
  tell("offline", status === 0 ? "No answer" : problemText(error));
  return false;
}

function tell(kind: string, label: string): void {
  state.dataset.state = kind;
  write(byId("state-label"), label);
}

function say(text: string): void {
  byId("status").textContent = text;
  write(byId("said"), text);
}

function start(): void {
  for (const part of pollers) part.resume();
}

/** What nobody may see is not asked for. */
async function begin(): Promise<void> {
  try {
    await signIn.token(false);
  } catch (error) {
    if (error instanceof NotSignedIn) return tell("ended", "Not signed in");
    // The gateway cannot be asked: the pollers go on trying.
  }
  start();
}

const card = new SignInCard(signIn, byId("sign-in"), {
  draft: () => "",
  go: (address) => location.assign(address),
  say: (text) => {
    byId("status").textContent = text;
  },
  back: () => byId("top").focus(),
});
new Account(signIn, {
  open: () => card.open(),
  leave: () => {
    signIn.leave();
    location.reload();
  },
});
signIn.on("change", () => {
  document.body.dataset.signIn = signIn.standing.name;
});
signIn.on("entered", () => {
  say("");
  start();
});
mountTheme();
void begin();
