-- Names of labels in paths of URLs.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("model/label_name.h")

describe("a label's name in a path", function()
  it("is unescaped; what is no escape stays as it is", function()
    for name, plain in pairs {
      U__http_2e_status__code = "http.status_code",
      plain = "plain", U__a_zz_b = "U__a_zz_b", U__a_ = "U__a_", U__ = "", [""] = "",
      U__x_d800_ = "U__x_d800_", U__x_110000_ = "U__x_110000_", U__x_0000041_ = "U__x_0000041_",
      U__x_1f600_ = "x\240\159\152\128", U__x_1F600_ = "x\240\159\152\128",
    } do
      local out = ffi.new("char[?]", #name + 1)
      local len = C.label_name_unescape(name, #name, out)
      assert.equal(plain, ffi.string(out, len))
    end
  end)
end)
