-- Series that nobody looks at after a few days go early. Declared rules like these cost next to
-- nothing: no Lua runs for them.

tide.retention("debug metrics", { match = '{__name__=~"debug_.+"}', keep = "2d" })
tide.retention("Go runtime", { match = '{__name__=~"go_.+"}', keep = "14d" })
tide.retention("load tests", { match = '{job="loadtest"}', keep = "1d" })
