scripts "result_mask"

test("support sees who it is, others see that it is the same one", function()
  push('logins{email="ann@example.org", host="a"}', 1)
  push('logins{email="ann@example.org", host="b"}', 2)
  expect.equal(2, #query("logins", { user = "support" }))
  expect.equal("ann@example.org", query("logins", { user = "support" })[1].labels.email)
  local name = query("logins", { user = "eve" })[1].labels.email
  expect.contains("person-", name)
  expect.equal({ ['{email="' .. name .. '"}'] = 3 }, values("sum by (email) (logins)",
    { user = "eve" }))
end)

test("nobody can guess", function()
  push('logins{email="ann@example.org"}', 1)
  expect.equal({}, values('logins{email=~"ann.*"}', { user = "eve" }))
  expect.equal(1, #query('logins{email=~"ann.*"}', { user = "support" }))
end)
