-- Alerts for an Alertmanager: targets that are down, jobs that went silent, disks that fill up.
-- Where they go is configured: alerts.webhooks = "http://alertmanager:9093/api/v2/alerts".

tide.alert("TargetDown", {
  expr = "up == 0",
  every = "15s",
  hold = "2m", -- what Prometheus calls `for`
  labels = { severity = "page" },
  annotations = {
    summary = "{{ $labels.instance }} of {{ $labels.job }} is down",
  },
})

tide.alert("DiskFull", {
  expr = "predict_linear(node_filesystem_avail_bytes[6h], 86400) < 0",
  every = "1m",
  hold = "10m",
  labels = { severity = "ticket" },
  -- A function, when a text with {{ }} is not enough.
  annotations = function(alert)
    return {
      summary = alert.labels.mountpoint .. " of " .. alert.labels.instance ..
        " will be full within a day",
      missing = ("%.1f GiB"):format(-alert.value / 2 ^ 30),
    }
  end,
})
