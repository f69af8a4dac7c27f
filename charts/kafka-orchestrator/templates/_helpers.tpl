{{/* What the objects of a release are called: the release's name, with the chart's unless it is in there. 50
     characters at most, which leaves room for the longest suffix. */}}
{{- define "kafka-orchestrator.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) -}}
{{- $name = printf "%s-%s" $name .Chart.Name -}}
{{- end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of what stands outside the release's namespace. It carries that namespace, so that two releases of one
     name in two namespaces do not meet. */}}
{{- define "kafka-orchestrator.wideName" -}}
{{- printf "%s:%s" .Release.Namespace (include "kafka-orchestrator.fullname" .) -}}
{{- end -}}

{{/* The labels that select the operator's pods. They never change between versions. */}}
{{- define "kafka-orchestrator.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "kafka-orchestrator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "kafka-orchestrator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The labels of what exists during an uninstall only. Nothing of the operator's selects them. */}}
{{- define "kafka-orchestrator.leaveLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: leave
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "kafka-orchestrator.leaveHook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* The Secret with the connection to Kafka: the user's own or the chart's. */}}
{{- define "kafka-orchestrator.kafkaSecret" -}}
{{- .Values.kafka.existingSecret | default (printf "%s-kafka" (include "kafka-orchestrator.fullname" .)) -}}
{{- end -}}

{{/* A number from the values without an exponent: 6000000 is a float to Helm, and would be written 6e+06. */}}
{{- define "kafka-orchestrator.scalar" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/* What the schema cannot say, or cannot say in words that help. */}}
{{- define "kafka-orchestrator.check" -}}
{{- $kafka := .Values.kafka -}}
{{- if not (or $kafka.bootstrapServers $kafka.existingSecret) -}}
{{- fail "\n\nNo Kafka given. Set one of these:\n  --set kafka.bootstrapServers=HOST:PORT        the brokers, without or with kafka.properties for TLS and passwords\n  --set kafka.existingSecret=NAME               a Secret of this namespace with the key client.properties (and ca.crt, tls.crt, tls.key)\n" -}}
{{- end -}}
{{- if and $kafka.existingSecret $kafka.properties -}}
{{- fail (printf "\n\nkafka.properties is only for the Secret that the chart makes. With kafka.existingSecret put these settings into the key client.properties of the Secret %q.\n" $kafka.existingSecret) -}}
{{- end -}}
{{- if hasKey ($kafka.properties | default dict) "bootstrap.servers" -}}
{{- fail "\n\nkafka.properties holds bootstrap.servers: give the brokers as kafka.bootstrapServers.\n" -}}
{{- end -}}
{{- range $file, $pem := dict "ssl.ca.location" "ssl.ca.pem" "ssl.certificate.location" "ssl.certificate.pem" "ssl.key.location" "ssl.key.pem" -}}
{{- if hasKey ($kafka.properties | default dict) $file -}}
{{- fail (printf "\n\nkafka.properties holds %s, and the chart mounts no such file. Give the PEM text itself as %s, or use kafka.existingSecret with ca.crt, tls.crt and tls.key.\n" $file $pem) -}}
{{- end -}}
{{- end -}}
{{- with .Values.topics -}}
{{- if and .replicationFactor .minInsyncReplicas (gt (int .minInsyncReplicas) (int .replicationFactor)) -}}
{{- fail (printf "\n\ntopics.minInsyncReplicas (%d) is larger than topics.replicationFactor (%d): nothing could be written.\n" (int .minInsyncReplicas) (int .replicationFactor)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not $kafka.bootstrapServers) (not .Values.networkPolicy.kafkaPorts) -}}
{{- fail "\n\nnetworkPolicy.enabled with kafka.existingSecret alone: the chart cannot see which ports the brokers listen on. Set networkPolicy.kafkaPorts, for example {9092}.\n" -}}
{{- end -}}
{{- end -}}
