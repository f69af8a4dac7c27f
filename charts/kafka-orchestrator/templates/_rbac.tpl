{{/* The one list of what the operator may do at the API server, each verb with what the code does with it. The verbs
     are those that the code uses: a test compares them with the API server's audit log, both ways. */}}
{{- define "kafka-orchestrator.rules" -}}
- apiGroups: [kafka-orchestrator.dev]
  resources: [pipelineruns, pipelines]
  verbs:
  - get # looks whether the owner is still there before anything is made, and reads the Pipeline that a run names
  - list # fills the cache at the start
  - watch # keeps the cache up to date
  - patch # adds and removes the finalizer that guards what was made
- apiGroups: [kafka-orchestrator.dev]
  resources: [pipelineruns/status, pipelines/status]
  verbs:
  - patch # writes phase, counts and conditions
- apiGroups: [apps]
  resources: [deployments]
  verbs:
  - list # finds the workers of an owner, and those that are left over
  - watch # follows their ready replicas
  - create # a Deployment a stage: server-side apply asks for it beside patch when it makes one
  - patch # scales it, and brings it to the plan
  - delete # when the run or Pipeline goes, before its topics
- apiGroups: [""]
  resources: [pods]
  verbs:
  - list # sees why workers do not become ready, which are idle, and when the last one is gone
  - patch # marks those that work, so that an idle one goes first when a stage scales down
- apiGroups: [""]
  resources: [configmaps]
  verbs:
  - get # reads the objects that objectsFrom names
  - create # the stage.json of a stage's workers: server-side apply asks for it beside patch
  - patch # brings it to the plan; it goes with its owner
- apiGroups: [""]
  resources: [secrets]
  verbs:
  - get # reads the Kafka connection that kafka.secretRef names
  - create # the Kafka connection of a stage's workers: server-side apply asks for it beside patch
  - patch # brings it to the connection in force; it goes with its owner
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs:
  - create # says what happened to a run or Pipeline
  - patch # counts a repeated event instead of writing another
{{- end -}}

{{/* What leadership needs, in the release's own namespace only. */}}
{{- define "kafka-orchestrator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs:
  - create # the first replica makes the Lease (a rule with resourceNames cannot allow that)
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "kafka-orchestrator.fullname" . }}]
  verbs:
  - get # sees who leads, and until when
  - patch # takes, renews and releases it
{{- end -}}

{{/* What an uninstall needs: `orch-operator leave`. */}}
{{- define "kafka-orchestrator.leaveRules" -}}
- apiGroups: [kafka-orchestrator.dev]
  resources: [pipelineruns, pipelines]
  verbs:
  - list # finds what holds the finalizer
  - patch # takes it away
- apiGroups: [apps]
  resources: [deployments]
  verbs:
  - list # finds the workers of an owner
  - patch # stops those of a run that lives
  - delete # removes those of a run that has ended
- apiGroups: [""]
  resources: [pods]
  verbs:
  - list # sees when the last worker is gone
- apiGroups: [""]
  resources: [secrets]
  verbs:
  - get # reads the Kafka connection that kafka.secretRef names, to delete the topics there
{{- end -}}

{{/* And in the release's own namespace, beside the Lease. */}}
{{- define "kafka-orchestrator.leaveOwnRules" -}}
- apiGroups: [apps]
  resources: [deployments/scale]
  resourceNames: [{{ include "kafka-orchestrator.fullname" . }}]
  verbs:
  - patch # stops the operator
{{- end -}}
