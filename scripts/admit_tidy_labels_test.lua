scripts "admit_tidy_labels"

test("labels that change at each deployment make no new series", function()
  push('up{job="web", pod_ip="10.0.0.1", pod_template_hash="7d9f"}', 1)
  advance "1m"
  push('up{job="web", pod_ip="10.0.0.2", pod_template_hash="8c1a"}', 0)
  expect.equal({ ['up{job="web"}'] = 0 }, values "up")
  expect.equal(1, #series "up")
end)

test("names are the same everywhere", function()
  push('a{availability_zone="b", datacenter="x"}', 1)
  push('b{availability_zone="b", zone="c"}', 1)
  push('c{pod="web-7d9f-x2x4k"}', 1)
  expect.equal({ ['a{dc="x",zone="b"}'] = 1, ['b{zone="c"}'] = 1,
    ['c{pod="web-7d9f-x2x4k",workload="web"}'] = 1 }, values '{__name__=~"a|b|c"}')
end)
