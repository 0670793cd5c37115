#!/bin/sh
# vmagent scrapes what prometheus.yml lists and writes to Tidemark.
exec vmagent -promscrape.config=prometheus.yml \
  -remoteWrite.url=http://127.0.0.1:9201/api/v1/write
