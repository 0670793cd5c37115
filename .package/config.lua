-- Tidemark as a service. Every key with its text and default: tidemark-config.lua(5), or
-- /usr/share/doc/tidemark/config.lua. `tidemark check --config /etc/tidemark/config.lua` says what
-- is wrong here before the server sees it; `systemctl reload tidemark` reads the scripts again.
return {
  listen = "127.0.0.1:9201",
  data = "/var/lib/tidemark",
  scripts = "/etc/tidemark/scripts",
  storage = {
    retention = "15d",
  },
}
