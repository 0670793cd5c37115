-- Recording rules: what dashboards ask again and again is computed once, every half minute.

tide.record("job:up:ratio", { expr = "avg by (job) (up)", every = "30s" })

tide.record("job:requests:rate5m", {
  expr = 'sum by (job, code) (rate(http_requests_total[5m]))',
  every = "30s",
})

-- The same under another name, with a label that says where it comes from.
tide.record("share of errors", {
  name = "job:errors:share5m",
  expr = 'sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) / ' ..
    'sum by (job) (rate(http_requests_total[5m]))',
  labels = { source = "rule" },
})
