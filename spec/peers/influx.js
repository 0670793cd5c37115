// @influxdata/influxdb-client: node influx.js URL POINTS
// Writes points of three numeric fields and a text; prints {"sent": numeric values}.
"use strict";
const { InfluxDB, Point } = require("@influxdata/influxdb-client");

async function main(url, points) {
  const api = new InfluxDB({ url, token: "any" }).getWriteApi("org", "bucket", "ms",
    { batchSize: 700, gzipThreshold: 1000, maxRetries: 0 });
  const now = Date.now();
  api.useDefaultTags({ site: "north sea" });
  for (let i = 0; i < points; i++) {
    api.writePoint(new Point("machine, \"odd\"").tag("host", "h" + (i % 10))
      .floatField("usage", i / 8).intField("value", i).booleanField("up", i % 2 === 0)
      .stringField("note", "x=\"1\", y").timestamp(now - (points - i) * 10));
  }
  await api.close();
  console.log(JSON.stringify({ sent: points * 3 }));
}

main(process.argv[2], Number(process.argv[3])).catch((error) => {
  console.error(error);
  process.exit(1);
});
