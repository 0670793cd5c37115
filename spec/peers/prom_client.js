// prom-client and its Pushgateway class: node prom_client.js URL push|pushAdd|delete
// Prints {"status": of the answer, "sent": samples}.
"use strict";
const client = require("prom-client");

async function main(url, action) {
  const registry = new client.Registry();
  const labelNames = ["path"];
  const counter = new client.Counter({ name: "visits_total", help: "Visits.", labelNames,
    registers: [registry] });
  const gauge = new client.Gauge({ name: "heat", help: "Heat.", registers: [registry] });
  const histogram = new client.Histogram({ name: "took_seconds", help: "Time.", labelNames,
    registers: [registry] });
  const summary = new client.Summary({ name: "size_bytes", help: "Size.",
    percentiles: [0.5, 0.99], registers: [registry] });
  for (let i = 0; i < 20; i++) {
    counter.inc({ path: "/" + i + "\"\\" }, i + 0.5);
    histogram.observe({ path: "/" + (i % 2) }, i / 10);
    summary.observe(i);
  }
  gauge.set(-21.5);
  client.collectDefaultMetrics({ register: registry });
  let text;
  const metrics = registry.metrics.bind(registry);
  registry.metrics = async () => (text = await metrics());
  const gateway = new client.Pushgateway(url, {}, registry);
  const group = { jobName: "node job", groupings: { instance: "a/b" } };
  const { resp } = await gateway[action](group);
  const sent = (text || "").split("\n").filter((line) => line && !line.startsWith("#")).length;
  console.log(JSON.stringify({ status: resp.statusCode, sent }));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
