#!/usr/bin/env bash
# Runs a real Zipkin in the foreground, on port 9411 (or ZIPKIN_PORT) of this machine, with its spans in memory.
# It uses Docker if it can, otherwise Java with the server that Maven downloads.
set -euo pipefail
cd "$(dirname "$0")/../.."
image=openzipkin/zipkin:3
artifact=io.zipkin:zipkin-server:3.5.1:jar:exec
jar=.local/zipkin/zipkin-server-3.5.1-exec.jar
port=${ZIPKIN_PORT:-9411}

echo "Zipkin: http://localhost:$port (Ctrl-C stops it)"
if docker info >/dev/null 2>&1; then
  exec docker run --rm --init -p "127.0.0.1:$port:9411" "$image"
fi
if ! command -v java >/dev/null; then
  echo 'Zipkin needs Docker, or Java with Maven. Neither is installed.' >&2
  exit 1
fi
if [ ! -f "$jar" ]; then
  command -v mvn >/dev/null || { echo "Maven is not installed. Install it, or put the Zipkin server at $jar" >&2; exit 1; }
  mvn -q -B dependency:copy "-Dartifact=$artifact" "-DoutputDirectory=$(dirname "$jar")"
fi
# Listens on loopback only, because it has no authentication.
exec java -jar "$jar" "--armeria.ports[0].ip=127.0.0.1" "--armeria.ports[0].port=$port" "--armeria.ports[0].protocols[0]=http"
