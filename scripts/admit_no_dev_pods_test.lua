scripts "admit_no_dev_pods"

test("series of development are not stored, and the sender is no worse off", function()
  for _, env in ipairs { "dev", "sandbox" } do
    local answer = push({ __name__ = "up", env = env }, 1)
    expect.equal({ stored = false, reason = "policy",
      text = 'dropped by the rule "no development": environment ' .. env }, answer)
  end
  expect.equal({}, values "up")
end)

test("all others are", function()
  expect.truthy(push('up{env="prod"}', 1).stored)
  expect.truthy(push("up", 1).stored)
  expect.equal({ up = 1, ['up{env="prod"}'] = 1 }, values "up")
end)
