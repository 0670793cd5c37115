scripts "keep_what_is_read"
retention "400d"

test("what nobody reads goes, what somebody reads stays", function()
  samples("read", { from = "2h" })
  samples("unread", { from = "2h" })
  samples("up", { from = "2h" })
  for _ = 1, 4 do
    advance "25d"
    expect.equal(1, #query("read[365d]", { user = "ann" }))
  end
  expect.equal(1, #series "read")
  expect.equal(0, #series "unread")
  expect.equal(1, #series "up")
end)
