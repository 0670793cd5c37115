-- CRC-32C against the published check value and RFC 3720's test patterns.
local tide = require "spec.support.tide"
local C = tide.load("base/crc32c.h")

describe("crc32c", function()
  it("gives the published check values", function()
    assert.equal(0xe3069283, C.crc32c(0, "123456789", 9))
    assert.equal(0x8a9136aa, C.crc32c(0, ("\0"):rep(32), 32))
    assert.equal(0x62a8ab43, C.crc32c(0, ("\255"):rep(32), 32))
  end)

  it("goes on where it stopped, at every cut", function()
    local text = ("The tide comes in, the tide goes out. "):rep(3)
    local whole = C.crc32c(0, text, #text)
    for cut = 0, #text do
      local head = C.crc32c(0, text, cut)
      assert.equal(whole, C.crc32c(head, text:sub(cut + 1), #text - cut))
    end
  end)

  it("unmasks what it masked", function()
    for _, crc in ipairs { 0, 1, 0x80000000, 0xffffffff, 0xe3069283 } do
      assert.equal(crc, C.crc32c_unmask(C.crc32c_mask(crc)))
    end
  end)
end)
