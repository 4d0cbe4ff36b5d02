{{/* Names and labels. */}}
{{- define "pointsman.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "pointsman.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "pointsman.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "pointsman.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change: (list . "component"). */}}
{{- define "pointsman.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "pointsman.name" $root | quote }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "pointsman.labels" -}}
{{- $root := index . 0 -}}
{{ include "pointsman.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pointsman.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "pointsman.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "pointsman.configMap" -}}
{{- default (include "pointsman.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "pointsman.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- $suffix := ternary .Values.gpu.tagSuffix "" (and .Values.gpu.enabled (not $image.tag)) -}}
{{- printf "%s:%s%s" $image.repository (default .Chart.AppVersion $image.tag) $suffix -}}
{{- end -}}
{{- end -}}

{{/* The configuration's text, with the store of the chart's own Valkey. */}}
{{- define "pointsman.config" -}}
{{- .Values.config | trimSuffix "\n" }}
{{- if .Values.valkey.enabled }}

store: # the chart's own Valkey
  redis:
{{- if .Values.valkey.existingSecret }}
    url: {file: /run/secrets/valkey/url}
{{- else }}
    url: valkey://{{ include "pointsman.fullname" . }}-valkey:6379
{{- end }}
    prefix: {{ .Release.Name | quote }}
{{- end }}
{{ end -}}

{{/*
What the chart has to know of the configuration, as YAML: listeners (name, port), admin (port), adminProtocol, adminAuth
(whether callers say who they are), grace (seconds), and with extProc.enabled: extProc (port), extProcTls.
A configuration that cannot serve in a pod fails here, before anything is installed.
*/}}
{{- define "pointsman.facts" -}}
{{- $config := dict "listen" (dict "address" "0.0.0.0:8080") "admin" (dict "address" "0.0.0.0:9090") -}}
{{- if .Values.extProc.enabled }}{{ $_ := set $config "ext_proc" (dict "address" "0.0.0.0:9002") }}{{ end -}}
{{- if not .Values.existingConfigMap -}}
{{- $config = .Values.config | fromYaml -}}
{{- with $config.Error }}{{ fail (printf "config: no YAML: %s" .) }}{{ end -}}
{{- if and .Values.valkey.enabled $config.store }}{{ fail "config: has a `store`, and valkey.enabled brings one (allowed: one of them)" }}{{ end -}}
{{- if .Values.valkey.enabled }}
{{- range $key := list "budgets" "client_keys" }}
{{- if and (hasKey $config $key) (or (eq $key "budgets") (kindIs "map" (dig "client_keys" "store" "" $config))) }}
{{- fail (printf "config: %s: the Valkey of valkey.enabled keeps nothing on a disk, and a restart of it would forget them (allowed: a `store` of your own)" $key) }}
{{- end }}
{{- end }}
{{- end -}}
{{- if kindIs "string" (dig "client_keys" "file" nil $config) }}
{{- fail "config: client_keys.file: a pod has no disk that is written and lasts (allowed: client_keys.store, with a `store` of your own, or keys under `clients`)" }}
{{- end }}
{{- $pods := ternary (.Values.autoscaling.maxReplicas | int) (.Values.replicas | int) .Values.autoscaling.enabled }}
{{- if and $config.budgets (not $config.store) (gt $pods 1) }}
{{- fail (printf "config: budgets: each of %d pods would count for itself, and clients could spend that many times as much (allowed: a `store` of your own, or replicas: 1 without autoscaling)" $pods) }}
{{- end }}
{{- else if .Values.valkey.enabled }}{{ fail "valkey.enabled: cannot write its `store` into existingConfigMap (allowed: config)" }}
{{- end -}}
{{- $listeners := $config.listen -}}
{{- if kindIs "map" $listeners }}{{ $listeners = list $listeners }}{{ end -}}
{{- if not $listeners }}{{ fail "config: listen: is missing (allowed: a listener on 0.0.0.0 or [::])" }}{{ end -}}
listeners:
{{- range $index, $listener := $listeners }}
- name: {{ ternary "clients" (printf "clients-%d" $index) (eq $index 0) }}
  port: {{ include "pointsman.port" (list (printf "listen[%d].address" $index) $listener.address) }}
  protocol: {{ ternary "https" "http" (hasKey $listener "tls") }}
{{- end }}
admin: {{ include "pointsman.port" (list "admin.address" (dig "admin" "address" "" $config)) }}
adminProtocol: {{ ternary "https" "http" (kindIs "map" (dig "admin" "tls" "" $config)) }}
adminAuth: {{ kindIs "map" (dig "admin" "auth" "" $config) }}
{{- if and .Values.serviceMonitor.enabled (kindIs "map" (dig "admin" "auth" "" $config)) (ne (dig "admin" "auth" "metrics" "view" $config) "open") (not .Values.serviceMonitor.tokenSecret.name) }}
{{ fail "config: admin.auth: Prometheus is a caller, too (allowed: serviceMonitor.tokenSecret with a token of the role `view`, or `metrics: open`)" }}
{{- end }}
{{- include "pointsman.extProcFacts" (list . $config) }}
grace: {{ add 5 (include "pointsman.seconds" (dig "limits" "drain" "30s" $config) | int) }}
{{- end -}}

{{/* The listener that a gateway asks by Envoy's external processing: (list . config). */}}
{{- define "pointsman.extProcFacts" -}}
{{- $root := index . 0 -}}
{{- $config := index . 1 -}}
{{- $section := get $config "ext_proc" | default dict -}}
{{- $address := get $section "address" | default "127.0.0.1:9002" -}}
{{- if $root.Values.extProc.enabled -}}
{{- if not (hasKey $config "ext_proc") }}{{ fail "extProc.enabled: `config` has no `ext_proc` (allowed: a section with an address on 0.0.0.0 or [::])" }}{{ end -}}
{{- if and $root.Values.networkPolicy.enabled (not $root.Values.networkPolicy.gateways) -}}
{{- fail "networkPolicy.gateways: is missing: whoever reaches the listener `ext_proc` is a gateway (allowed: a list of peers, such as a namespaceSelector)" -}}
{{- end }}
{{- if and (eq $root.Values.extProc.readiness "grpc") (kindIs "map" (get $section "tls")) -}}
{{- fail "extProc.readiness: the kubelet asks by gRPC without TLS (allowed: http, where `ext_proc` has `tls`)" -}}
{{- end }}
extProc: {{ include "pointsman.port" (list "ext_proc.address" $address) }}
extProcTls: {{ kindIs "map" (get $section "tls") }}
{{- else if and (hasKey $config "ext_proc") (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]):" (toString $address)) -}}
{{- fail "config: ext_proc: no Service leads there (allowed: extProc.enabled, or an address on loopback)" -}}
{{- end -}}
{{- end -}}

{{/* The port of an address that is reachable from outside the pod: (list "key" "address"). */}}
{{- define "pointsman.port" -}}
{{- $key := index . 0 -}}
{{- $address := index . 1 | toString -}}
{{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]):[1-9][0-9]*$" $address) -}}
{{- fail (printf "config: %s: `%s` cannot be reached from outside the pod (allowed: 0.0.0.0:PORT, [::]:PORT)" $key $address) -}}
{{- end -}}
{{- regexFind "[0-9]+$" $address -}}
{{- end -}}

{{/* The whole seconds of a time such as 30s, 2m or 1h, rounded up. */}}
{{- define "pointsman.seconds" -}}
{{- $number := regexFind "^[0-9]+" . | int -}}
{{- $unit := regexReplaceAll "^[0-9]+\\s*" . "" -}}
{{- $units := dict "ms" 0 "msec" 0 "s" 1 "sec" 1 "secs" 1 "second" 1 "seconds" 1 "m" 60 "min" 60 "mins" 60 "minute" 60 "minutes" 60 "h" 3600 "hour" 3600 "hours" 3600 -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "config: limits.drain: `%s` is not read by the chart (allowed: one number with a unit, such as 30s or 2m)" .) -}}
{{- end -}}
{{- if eq (get $units $unit) 0 }}{{ div (add $number 999) 1000 }}{{ else }}{{ mul $number (get $units $unit) }}{{ end -}}
{{- end -}}

{{/* What every pod of the chart may do: nothing but run. */}}
{{- define "pointsman.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "pointsman.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Files of Secrets: mounts, and the volumes behind them. */}}
{{- define "pointsman.secretMounts" -}}
{{- range .Values.secrets }}
- {name: secret-{{ .name }}, mountPath: /run/secrets/{{ .name }}, readOnly: true}
{{- end }}
{{- if and .Values.valkey.enabled .Values.valkey.existingSecret }}
- {name: secret-valkey, mountPath: /run/secrets/valkey, readOnly: true}
{{- end }}
{{- end -}}

{{- define "pointsman.secretVolumes" -}}
{{- range .Values.secrets }}
- name: secret-{{ .name }}
  secret: {secretName: {{ .secretName }}, defaultMode: 0440}
{{- end }}
{{- if and .Values.valkey.enabled .Values.valkey.existingSecret }}
- name: secret-valkey
  secret: {secretName: {{ .Values.valkey.existingSecret }}, defaultMode: 0440, items: [{key: url, path: url}]}
{{- end }}
{{- end -}}

{{/* Where pods of the image may run. */}}
{{- define "pointsman.placement" -}}
{{- if and .Values.gpu.enabled .Values.gpu.runtimeClassName }}
runtimeClassName: {{ .Values.gpu.runtimeClassName }}
{{- end }}
{{- with (ternary (merge (deepCopy .Values.nodeSelector) .Values.gpu.nodeSelector) .Values.nodeSelector .Values.gpu.enabled) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with (ternary (concat .Values.tolerations .Values.gpu.tolerations) .Values.tolerations .Values.gpu.enabled) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Resources, with the GPU where there is one: (list . resources). */}}
{{- define "pointsman.resources" -}}
{{- $root := index . 0 -}}
{{- $resources := deepCopy (index . 1) -}}
{{- if $root.Values.gpu.enabled -}}
{{- $limits := merge (dict $root.Values.gpu.resource $root.Values.gpu.count) ($resources.limits | default dict) -}}
{{- $resources = set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{/* The variables, mounts and volumes of a container that reads the configuration. */}}
{{- define "pointsman.environment" -}}
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
