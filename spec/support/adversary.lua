-- What somebody asks who wants to see what is another tenant's ("b"; he is of "a"). Each of it is
-- tried on a server that holds both and on one that holds "a" only: the answers are the same.
local adversary = {}

adversary.queries = {
  'up', '{__name__=~".+"}', 'up{tenant="b"}', 'up{tenant=~"b|a"}', 'up{tenant=~".*"}',
  'up{tenant!="a"}', 'up{tenant!~"a"}', 'up{tenant=""}', '{tenant="b",__name__=~".+"}',
  'up or up{tenant="b"}', '{__name__="up",tenant="a" or tenant="b"}', 'up and on() secret',
  'up unless secret', 'up @ %d', 'up{tenant="b"} @ %d', 'up @ start()', 'up @ end()',
  'up offset 1m', 'up{tenant="b"} offset -1m', 'up[5m]', 'secret[10m:1m]', 'up{tenant="b"}[5m:1m]',
  'max_over_time(up{tenant=~".*"}[10m])', 'max_over_time((up or secret)[10m:1m])',
  'count_over_time({__name__=~".+"}[10m])', 'rate(up[5m:1m] @ end())', 'sum(up)',
  'sum by (tenant) (up)', 'sum without (job) ({__name__=~".+"})', 'count(up) by (tenant)',
  'count_values("tenant", up)', 'count_values("x", {__name__=~".+"})', 'topk(10, {job=~".+"})',
  'bottomk(10, up)', 'quantile(0.5, up)', 'group by (tenant, job) ({__name__!=""})',
  'limitk(9, up)',
  'limit_ratio(1, up)', 'label_replace(up, "tenant", "a", "", "")',
  'label_replace(up{tenant="b"}, "tenant", "a", "tenant", "b")',
  'label_join(up, "tenant", "-", "job", "instance")',
  'label_replace({tenant="b"}, "__name__", "up", "", "")', 'absent(up{tenant="b"})',
  'absent(secret)',
  'absent_over_time(secret[5m])', 'present_over_time(secret[5m])', 'scalar(secret)',
  'vector(scalar(sum(secret)))', 'up * on() group_left secret', 'up * ignoring(tenant) secret',
  'up * on(instance) group_left(tenant) secret', 'info(up)', 'info(up, {tenant="b"})',
  'info(up, {tenant=~".*"})', 'info(up, {__name__=~".+_info"})', 'info({__name__=~"up|secret"})',
  'info(up, {data=~".+"})', 'sort_by_label({__name__=~".+"}, "tenant")', 'sort(up) or sort(secret)',
  'histogram_quantile(0.9, up)', 'changes(secret[10m])', 'timestamp(secret)',
  'predict_linear(secret[10m], 60)', '-secret', '(secret)', 'secret > bool 0', 'secret == secret',
  'max_over_time(rate(up[5m])[10m:1m])', 'max_over_time((up or secret)[10m:1m] @ end())',
  'topk(scalar(count(up)), secret)', 'quantile(scalar(secret), up)', '-(((up)))',
  'up unless on () vector(1)', 'vector(scalar(up)) + time()', 'up == bool secret > up ^ up % up',
  'sort_desc(histogram_quantile(0.9, sum by (le) (rate(secret[5m]))))',
  'clamp(up, scalar(secret), scalar(up))', 'min_over_time(secret[step():1m])',
  'sum(sum(sum(secret)))', 'up{__name__="secret"}',
  '{"secret"}', '{"tenant"="b"}', '{"up","tenant"="b"}', 'secret{job=~"(?i)SECRET.*"}',
}

adversary.selectors = {
  'up', '{tenant="b"}', '{tenant=~".*"}', '{tenant!="a"}', '{__name__=~".+"}', 'secret',
  'target_info',
  '{job=~"secret.*"}', '{tenant="b",tenant=~".+"}', '{tenant!~"a"}', '{tenant=""}',
}

return adversary
