{{/* What the operator's pods and the pod of an uninstall have in common. */}}

{{- define "kafka-orchestrator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "kafka-orchestrator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "kafka-orchestrator.mounts" -}}
- name: kafka
  mountPath: /etc/orchestrator/kafka
  readOnly: true
{{- end -}}

{{- define "kafka-orchestrator.volumes" -}}
- name: kafka
  secret:
    secretName: {{ include "kafka-orchestrator.kafkaSecret" . }}
    defaultMode: 0440
{{- end -}}

{{- define "kafka-orchestrator.placement" -}}
{{- with .Values.nodeSelector -}}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{ end -}}
{{- with .Values.tolerations -}}
tolerations:
{{ toYaml . }}
{{ end -}}
{{- with .Values.affinity -}}
affinity:
  {{- toYaml . | nindent 2 }}
{{ end -}}
{{- end -}}

{{/* Where Kafka, the Lease and the resources are. */}}
{{- define "kafka-orchestrator.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: ORCH_KAFKA_DIR
  value: /etc/orchestrator/kafka
{{- if and .Values.kafka.existingSecret .Values.kafka.bootstrapServers }}
- name: ORCH_BOOTSTRAP_SERVERS
  value: {{ .Values.kafka.bootstrapServers | quote }}
{{- end }}
- name: ORCH_TOPIC_PREFIX
  value: {{ .Values.topicPrefix | quote }}
{{- with .Values.watchNamespaces }}
- name: ORCH_WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: ORCH_LEASE_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: ORCH_LEASE_NAME
  value: {{ include "kafka-orchestrator.fullname" . }}
- name: ORCH_LEASE_SECONDS
  value: {{ include "kafka-orchestrator.scalar" .Values.lease.seconds | quote }}
- name: ORCH_FINALIZER_DEADLINE
  value: {{ .Values.finalizerDeadline | quote }}
- name: ORCH_LOG
  value: {{ .Values.log.level | quote }}
- name: ORCH_LOG_FORMAT
  value: {{ .Values.log.format }}
{{- end -}}
