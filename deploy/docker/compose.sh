#!/usr/bin/env bash
# Runs `make compose` and `make compose-down`, with `docker compose` or the older `docker-compose` (which has no --wait).
set -euo pipefail
cd "$(dirname "$0")/../.."
export COMPOSE_PROJECT_NAME=${COMPOSE_PROJECT_NAME:-answerback}
readonly WAIT_SECONDS=120

main() {
  find_compose
  case ${1:-} in
    up) bring_up ;;
    down) "${compose[@]}" down --volumes --remove-orphans ;;
    *) fail 'usage: compose.sh up|down' ;;
  esac
}

find_compose() {
  if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
  else
    fail 'Docker Compose is not installed. `make run` needs no Docker.'
  fi
  docker info >/dev/null 2>&1 || fail 'Docker does not answer. Is it running, and do you have permission to use it?'
}

bring_up() {
  take_npm_settings
  choose_host
  choose_emitter_key
  "${compose[@]}" build
  "${compose[@]}" up --detach
  for service in callback-service client-service; do wait_until_healthy "$service"; done
  print_addresses
}

# The containers reach npm as this machine does: through its registry, with the certificates that it trusts.
take_npm_settings() {
  local cafile=${NODE_EXTRA_CA_CERTS:-}
  if command -v npm >/dev/null; then
    NPM_CONFIG_REGISTRY=$(npm config get registry 2>/dev/null)
    export NPM_CONFIG_REGISTRY
    [ -n "$cafile" ] || cafile=$(npm config get cafile 2>/dev/null)
  fi
  # Do not touch an unchanged file, or every build would install everything again.
  if [ -f "$cafile" ]; then cmp -s "$cafile" deploy/docker/certificates/ca.crt || cp "$cafile" deploy/docker/certificates/ca.crt; fi
}

# Publishes the callback service beyond this machine only if callers need a key, or HTTP_HOST says so.
choose_host() {
  if [ -z "${HTTP_HOST:-}" ] && { [ "${ACCESS_MODE:-}" = keys ] || [ -n "${ACCESS_SUPERUSER_KEYS:-}" ]; }; then HTTP_HOST=0.0.0.0; fi
  export HTTP_HOST=${HTTP_HOST:-127.0.0.1}
}

# The emitter needs a key if callers do: by default the first superuser key.
choose_emitter_key() {
  local keys
  read -ra keys <<<"${ACCESS_SUPERUSER_KEYS:-}"
  export CALLBACK_SERVICE_KEY=${CALLBACK_SERVICE_KEY:-${keys[0]:-}}
}

wait_until_healthy() {
  local container status='' i
  container=$("${compose[@]}" ps -q "$1")
  for ((i = 0; i < WAIT_SECONDS * 2; i++)); do
    status=$(docker inspect --format '{{.State.Health.Status}}' "$container")
    [ "$status" = healthy ] && return
    sleep 0.5
  done
  "${compose[@]}" logs --tail 30 "$1"
  fail "$1 is $status after $WAIT_SECONDS seconds"
}

print_addresses() {
  local key=''
  if [ "${ACCESS_MODE:-}" = keys ] || [ -n "${ACCESS_SUPERUSER_KEYS:-}" ]; then key=' -H "X-API-Key: $KEY"'; fi
  local callback=${CALLBACK_PORT:-9090} client=${CLIENT_PORT:-9010}
  cat <<TEXT

  Open http://localhost:${CALLBACK_ADMIN_PORT:-6060}/ to watch the callbacks: the live page.

  callback service   http://localhost:$callback/           metrics  http://localhost:${CALLBACK_ADMIN_PORT:-6060}/metrics
  client service     http://localhost:$client/objects/7   faults   http://localhost:${CLIENT_ADMIN_PORT:-6061}/config
  traces             http://localhost:${ZIPKIN_PORT:-9411}/
  database           postgresql://answerback:${POSTGRES_PASSWORD:-answerback}@127.0.0.1:${POSTGRES_PORT:-5434}/answerback

    curl -i http://localhost:$callback/callback$key -H 'Content-Type: application/json' -d '{"object_ids":[2,4,7]}'
    ${compose[*]} -p $COMPOSE_PROJECT_NAME logs --follow callback-service

  $([ -z "$key" ] || echo 'Callers need a key: with this database as DATABASE_URL, `make key WORKSPACE=default ROLE=manage` makes one.')
  The callback service is published on $HTTP_HOST. HTTP_HOST=0.0.0.0 opens it to other machines, best with ACCESS_SUPERUSER_KEYS=...
  \`make test-integration\` tests it, \`make compose-down\` stops it.

TEXT
}

fail() {
  echo "$1" >&2
  exit 1
}

main "$@"
