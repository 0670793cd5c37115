// @opentelemetry/exporter-metrics-otlp-proto, or -http (which sends JSON): node otlp.js URL
// SERVICE proto|http
// Exports each kind of instrument once; prints {"sent": the samples that they are as series}.
"use strict";
const { Resource } = require("@opentelemetry/resources");
const { MeterProvider, PeriodicExportingMetricReader } = require("@opentelemetry/sdk-metrics");

async function main(url, service, form) {
  const { OTLPMetricExporter } = require(`@opentelemetry/exporter-metrics-otlp-${form}`);
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url }), exportIntervalMillis: 3600000 });
  const provider = new MeterProvider({ readers: [reader], resource: new Resource({
    "service.name": service, "service.namespace": "shop", "service.instance.id": "i-1",
    "host.name": "h" }) });
  const meter = provider.getMeter("spec");
  const requests = meter.createCounter("http.requests", { unit: "1", description: "Requests." });
  const queue = meter.createUpDownCounter("queue.length");
  const took = meter.createHistogram("took", { unit: "s",
    advice: { explicitBucketBoundaries: [0.1, 1, 10] } });
  meter.createObservableGauge("memory.used", { unit: "By" })
    .addCallback((result) => result.observe(1024.5, { kind: "heap" }));
  for (let i = 0; i < 30; i++) {
    requests.add(1, { "http.route": "/" + (i % 3) });
    queue.add(i % 2 ? 1 : -1);
    took.record(i / 2);
  }
  await reader.forceFlush();
  await provider.shutdown();
  // 3 counters, 1 up-down counter, 4 buckets with sum and count, 1 gauge, target_info: shutdown
  // exports all of them once more.
  console.log(JSON.stringify({ sent: 2 * (3 + 1 + 6 + 1 + 1) }));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
