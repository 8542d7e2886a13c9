#!/usr/bin/env python3
"""Makes the dashboard: `make.py` writes dashboards/rivulet.json, `make.py --check` fails when it is not up to date.

A panel can show only what the tables of docs/metrics.md list, by the labels that stand there: anything else is an error.
Those tables are held against the gateway by its tests.
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE / "dashboards" / "rivulet.json"
METRICS = HERE.parents[1] / "docs" / "metrics.md"

# What Prometheus adds to every series, and what the dashboard is narrowed to.
SCRAPED = {"job", "instance"}
CHOSEN = 'job="rivulet", instance=~"$instance"'
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT = 24, 8


def table():
    """The metrics by name: kind and labels."""
    row = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*)\|", re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in row.findall(METRICS.read_text())}


TABLE = table()


def series(name, kinds, labels, where="", suffix=""):
    """A selector of a metric that is there, of one of these kinds, and has these labels."""
    kind, has = TABLE[name]
    used = set(labels) | set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", where))
    if kind not in kinds:
        raise SystemExit(f"{name} is a {kind}, not a {' or a '.join(kinds)}")
    if unknown := used - has - SCRAPED:
        raise SystemExit(f"{name} has no label {', '.join(sorted(unknown))}")
    return f"{name}{suffix}{{{', '.join(filter(None, [CHOSEN, where]))}}}"


def summed(inner, by):
    return f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"


def gauge(name, by=(), where="", how="sum"):
    """How something stands, over all gateways that were chosen."""
    return summed(series(name, ["gauge"], by, where), by).replace("sum", how, 1)


def rate(name, by=(), where=""):
    """How often something happens in a second."""
    return summed(f"rate({series(name, ['counter'], by, where)}[$__rate_interval])", by)


def increase(name, by=(), where="", over="$__range"):
    """How often something happened, in the time that is shown unless said otherwise."""
    return summed(f"increase({series(name, ['counter'], by, where)}[{over}])", by)


def quantile(share, name, by=(), where=""):
    """The value that so large a share of a histogram stays below."""
    inner = f"rate({series(name, ['histogram'], by, where, '_bucket')}[$__rate_interval])"
    return f"histogram_quantile({share}, {summed(inner, ['le', *by])})"


def total(name, by=(), where=""):
    """The sum of what a histogram was given, a second."""
    return summed(f"rate({series(name, ['histogram'], by, where, '_sum')}[$__rate_interval])", by)


def count(name, by=(), where=""):
    """How often a histogram was given something, a second."""
    return summed(f"rate({series(name, ['histogram'], by, where, '_count')}[$__rate_interval])", by)


def percentiles(name, where=""):
    return [(quantile(share, name, where=where), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]


def graph(title, unit, *targets, about="", stack=False):
    """Lines over time: `targets` are pairs of an expression and the name of its lines."""
    custom = {"drawStyle": "line", "fillOpacity": 25 if stack else 8, "showPoints": "never", "spanNulls": True}
    custom["stacking"] = {"mode": "normal" if stack else "none"}
    return panel("timeseries", title, about, targets, {
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    })


def figure(title, unit, expression, good="green", bad=None, words=None, about=""):
    """One number as it is now; from `bad` on it is red, and `words` may stand for numbers."""
    steps = [{"color": good, "value": None}] + ([{"color": "red", "value": bad}] if bad is not None else [])
    mappings = [{"type": "value", "options": {
        str(value): {"text": text, "color": color} for value, (text, color) in (words or {}).items()
    }}] if words else []
    return panel("stat", title, about, [(expression, "")], {
        "fieldConfig": {"defaults": {
            "unit": unit, "thresholds": {"mode": "absolute", "steps": steps}, "mappings": mappings,
        }, "overrides": []},
        "options": {
            "colorMode": "background", "graphMode": "none", "justifyMode": "center", "textMode": "value",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
    })


def states(title, expression, name, words, about=""):
    """How something stood over time, as coloured bars with words."""
    options = {str(value): {"text": text, "color": color} for value, (text, color) in words.items()}
    return panel("state-timeline", title, about, [(expression, name)], {
        "fieldConfig": {"defaults": {
            "mappings": [{"type": "value", "options": options}], "custom": {"fillOpacity": 80, "lineWidth": 0},
        }, "overrides": []},
        "options": {"showValue": "auto", "mergeValues": True, "legend": {"showLegend": False}},
    })


def panel(kind, title, about, targets, more):
    asked = [
        {"datasource": SOURCE, "expr": expression, "legendFormat": name, "refId": chr(ord("A") + at)}
        for at, (expression, name) in enumerate(targets)
    ]
    told = {"description": about} if about else {}
    return {"type": kind, "title": title, **told, "datasource": SOURCE, "targets": asked, **more}


UP_OR_DOWN = {1: ("up", "green"), 0: ("down", "red")}
BREAKER = {0: ("asked", "green"), 1: ("tried", "yellow"), 2: ("left alone", "red")}

# In the order in which somebody looks who was just woken.
FIRST = [
    # Prometheus' own series, which are in no table.
    figure("Alerts", "none", 'count(ALERTS{alertname=~"Rivulet.*", alertstate="firing"}) or vector(0)', bad=1),
    figure("Gateways that answer", "none", 'sum(up{job="rivulet"})', good="blue"),
    figure("Storage", "none", gauge("storage_up", how="min"), words=UP_OR_DOWN),
    figure("Answers in progress", "none", gauge("runs_active"), good="blue"),
    figure("In line", "none", gauge("runs_waiting"), bad=1),
    figure("Open sockets", "none", gauge("ws_connections"), good="blue"),
    figure("Sessions in memory", "none", gauge("sessions_active"), good="blue"),
    figure("Panics", "none", increase("panics_total"), bad=1, about="Each is a bug."),
]
SECTIONS = [
    ("Answers", [
        graph("Answers", "ops", (rate("runs_total", ["status"]), "{{status}}"), stack=True),
        graph("Failed", "percentunit", (
            rate("runs_total", where='status=~"error|incomplete"') + " / clamp_min(" + rate("runs_total") + ", 1e-9)",
            "of all answers",
        ), about="Errors, and answers that broke off."),
        graph("First text", "s", *percentiles("run_ttft_seconds"), about="From the start of a run, retrieval included."),
        graph("The gateway's own time before it", "s", *[
            (quantile(0.95, "run_overhead_seconds", ["part"]), "p95 {{part}}"),
            (quantile(0.5, "run_overhead_seconds", ["part"]), "p50 {{part}}"),
        ]),
        graph("Delay of text in the gateway", "s", *percentiles("token_delay_seconds")),
        graph("Pieces of text", "ops", (rate("tokens_delivered_total"), "delivered"),
              (rate("tokens_after_stop_total"), "after a stop")),
    ]),
    ("Clients", [
        graph("Sockets, sessions, runs", "none", (gauge("ws_connections"), "sockets"),
              (gauge("sessions_active"), "sessions in memory"), (gauge("runs_active"), "answers in progress"),
              (gauge("runs_waiting"), "in line")),
        graph("Sockets closed", "ops", (rate("ws_closes_total", ["code"]), "{{code}}"), stack=True),
        graph("Refused at a bound", "ops", (rate("rate_limited_total", ["scope"]), "{{scope}}"), stack=True),
        graph("Requests", "reqps", (rate("http_requests_total", ["status"]), "{{status}}"), stack=True),
        graph("Requests, p95", "s", (quantile(0.95, "http_request_duration_seconds", ["route"]), "{{route}}")),
        graph("Stops", "s", *percentiles("run_stop_seconds"), about="Until the model's server is let go."),
    ]),
    ("Models", [
        states("Breakers", gauge("breaker_state", ["target"], how="max"), "{{target}}", BREAKER),
        graph("Attempts", "ops", (rate("llm_requests_total", ["target", "outcome"]), "{{target}} {{outcome}}"), stack=True),
        graph("First chunk, p95", "s", (
            quantile(0.95, "gen_ai_client_operation_time_to_first_chunk_seconds", ["target"]), "{{target}}")),
        graph("Calls, p95", "s", (
            quantile(0.95, "gen_ai_client_operation_duration_seconds", ["target"]), "{{target}}")),
        graph("Kept waiting by a rate limit", "ops", (rate("llm_paced_total", ["target", "how"]), "{{target}} {{how}}")),
        graph("Events that cannot be read", "ops", (rate("llm_bad_events_total", ["target"]), "{{target}}")),
        graph("Tokens", "none", (
            total("gen_ai_client_token_usage", ["target", "gen_ai_token_type"]), "{{target}} {{gen_ai_token_type}}",
        ), about="A second.", stack=True),
        graph("Cost", "none", (
            f"3600 * {total('llm_cost', ['target'])}", "{{target}}",
        ), about="An hour, by the configured prices and in their unit.", stack=True),
        graph("Caches", "ops", (rate("cache_requests_total", ["cache", "outcome"]), "{{cache}} {{outcome}}"),
              (rate("cache_shared_failures_total", ["reason"]), "not shared: {{reason}}")),
    ]),
    ("Several gateways", [
        states("Way to the others", gauge("cluster_bus_up", ["instance"], how="min"), "{{instance}}", UP_OR_DOWN,
               about="Down where no Redis is configured."),
        states("Shared limits and tickets", gauge("redis_up", ["instance"], how="min"), "{{instance}}", UP_OR_DOWN,
               about="Down where no Redis is configured."),
        graph("Gateways that live", "none", (gauge("cluster_nodes", ["instance"], how="max"), "by {{instance}}"),
              (gauge("cluster_unreached", ["instance"], how="max"), "not reached by {{instance}}"),
              about="By the database, as each of them knows."),
        graph("Decided alone", "ops", (rate("limits_alone_total", ["scope"]), "{{scope}}"), stack=True,
              about="Because the Redis was away or too slow."),
        graph("Shown elsewhere", "none", (gauge("cluster_mirrors"), "sessions of others that are watched"),
              (gauge("cluster_followers"), "own sessions that are watched at others")),
        graph("Messages between gateways", "ops", (rate("cluster_bus_messages_total", ["instance"]), "{{instance}}")),
        graph("Lost on the way", "ops", (rate("cluster_bus_gaps_total"), "missing"), (rate("cluster_bus_dropped_total"), "no room"),
              (rate("cluster_bus_reconnects_total"), "begun anew"), about="Told again; nothing is lost for users."),
        graph("Logs that moved", "none", (increase("cluster_moves_total", ["outcome"], over="$__interval"), "{{outcome}}")),
        graph("Taken for dead", "none", (increase("cluster_leases_lost_total", over="$__interval"), "leases lost"),
              (increase("cluster_fenced_writes_total", over="$__interval"), "writes that were refused")),
        states("Works on documents", gauge("cluster_works_on_documents", ["instance"], how="max"), "{{instance}}",
               {1: ("works", "green"), 0: ("follows", "blue")}),
    ]),
    ("Knowledge", [
        graph("Searches", "ops", (rate("knowledge_retrievals_total"), "for answers")),
        graph("Time of a search, p95", "s", (quantile(0.95, "retrieval_duration_seconds", ["stage"]), "{{stage}}")),
        graph("Documents", "none", (gauge("knowledge_documents", ["state"]), "{{state}}"), stack=True),
        graph("Work on documents", "none", (gauge("knowledge_jobs", ["state"]), "{{state}}")),
        graph("Chunks", "none", (gauge("rag_index_chunks"), "in the indexes"),
              (gauge("rag_index_unindexed_rows"), "not covered by one yet"),
              (gauge("rag_index_failed_collections"), "collections that cannot be used")),
        graph("Bytes", "bytes", (gauge("rag_index_bytes"), "indexes"), (gauge("rag_copies_bytes"), "copies in memory")),
        figure("Looked after", "s", f"time() - {gauge('rag_index_upkeep_timestamp_seconds', how='min')}", bad=300,
               about="So long ago. Means nothing without a knowledge base."),
    ]),
    ("Storage and process", [
        graph("Commits", "s", *percentiles("storage_commit_seconds"), about="Every acknowledgement waits for one."),
        graph("Operations in a commit", "none", (quantile(0.95, "storage_commit_operations"), "p95"),
              (quantile(0.5, "storage_commit_operations"), "p50")),
        graph("Operations, p95", "s", (quantile(0.95, "database_query_duration_seconds", ["op"]), "{{op}}")),
        graph("Failed commits", "ops", (rate("storage_commit_failures_total"), "failed"),
              (count("storage_commit_seconds"), "committed")),
        graph("Memory", "bytes", (gauge("process_resident_memory_bytes", ["instance"]), "{{instance}}")),
        graph("Spans", "ops", (rate("otlp_spans_total", ["outcome"]), "{{outcome}}")),
        figure("Certificate is good for", "s", f"min({series('tls_certificate_expiry_timestamp_seconds', ['gauge'], [])} > 0)"
               " - time()", good="green", about="Empty where the gateway itself has no TLS."),
        graph("Keys fetched", "none", (increase("jwks_fetches_total", ["outcome"], over="$__interval"), "{{outcome}}")),
        graph("Configuration read again", "none", (increase("config_reloads_total", ["outcome"], over="$__interval"), "{{outcome}}")),
        graph("Log lines left out", "ops", (rate("log_lines_left_out_total"), "left out")),
        graph("Versions", "none", (gauge("rivulet_build_info", ["version"]), "{{version}}")),
        figure("Running for", "s", f"time() - {gauge('process_start_time_seconds', how='max')}", good="blue",
               about="The gateway that was started last."),
    ]),
]


def laid_out():
    """The panels with their places: figures in one line, then rows of three."""
    panels, top = [], 0
    for at, one in enumerate(FIRST):
        width = WIDTH // len(FIRST)
        panels.append({**one, "gridPos": {"x": at * width, "y": top, "w": width, "h": 4}})
    top += 4
    for title, section in SECTIONS:
        panels.append({"type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}})
        top += 1
        for at, one in enumerate(section):
            place = {"x": at % 3 * 8, "y": top + at // 3 * HEIGHT, "w": 8, "h": HEIGHT}
            panels.append({**one, "gridPos": place})
        top += -(-len(section) // 3) * HEIGHT
    return [{"id": at, **one} for at, one in enumerate(panels, 1)]


def dashboard():
    source = {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}
    instance = {
        "name": "instance", "label": "Gateway", "type": "query", "datasource": SOURCE,
        "query": {"query": 'label_values(up{job="rivulet"}, instance)', "refId": "instance"},
        "refresh": 2, "includeAll": True, "multi": True, "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
    return {
        "uid": "rivulet", "title": "Rivulet", "tags": ["rivulet"], "schemaVersion": 39, "version": 1,
        "editable": True, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, instance]},
        "annotations": {"list": []},
        "panels": laid_out(),
    }


def main():
    text = json.dumps(dashboard(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        if DASHBOARD.read_text() != text:
            raise SystemExit(f"{DASHBOARD} is not what {Path(__file__).name} makes: run it")
        print(f"{DASHBOARD.name} is up to date")
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    else:
        DASHBOARD.write_text(text)


if __name__ == "__main__":
    main()
