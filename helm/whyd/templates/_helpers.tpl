{{/* Names of objects: 63 characters less what is put behind them (`-headless`, and an ordinal). */}}
{{- define "whyd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "whyd.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "whyd.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "whyd.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "whyd.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* By these, objects find the daemon's pods. They cannot be changed in an existing StatefulSet. */}}
{{- define "whyd.selectorLabels" -}}
app.kubernetes.io/name: {{ include "whyd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end }}

{{/* Labels of every object, with more of them: dict "root" $ "more" (list of mappings); later ones win. */}}
{{- define "whyd.labels" -}}
{{- $root := .root }}
{{- $labels := dict
    "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
    "app.kubernetes.io/name" (include "whyd.name" $root)
    "app.kubernetes.io/instance" $root.Release.Name
    "app.kubernetes.io/version" ($root.Chart.AppVersion | replace "+" "_" | trunc 63)
    "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $labels = mergeOverwrite $labels (deepCopy $root.Values.commonLabels) }}
{{- range .more }}
{{- $labels = mergeOverwrite $labels (deepCopy .) }}
{{- end }}
{{- toYaml $labels }}
{{- end }}

{{/* The metadata's annotations, if there are any: dict "root" $ "more" (list of mappings). */}}
{{- define "whyd.annotations" -}}
{{- $annotations := deepCopy .root.Values.commonAnnotations }}
{{- range .more }}
{{- $annotations = mergeOverwrite $annotations (deepCopy .) }}
{{- end }}
{{- with $annotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Metadata of an object: dict "root" $ "name" … "namespace" … "labels" … "annotations" …; only the root and the name are needed. */}}
{{- define "whyd.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ default (include "whyd.namespace" .root) .namespace }}
{{- end }}
labels:
  {{- include "whyd.labels" (dict "root" .root "more" (list (default dict .labels))) | nindent 2 }}
{{- with include "whyd.annotations" (dict "root" .root "more" (list (default dict .annotations))) }}
{{ . }}
{{- end }}
{{- end }}

{{- define "whyd.image" -}}
{{- $name := .Values.image.repository }}
{{- if .Values.image.registry }}
{{- $name = printf "%s/%s" .Values.image.registry .Values.image.repository }}
{{- end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* "true" where several replicas share the work. */}}
{{- define "whyd.isScaledOut" -}}
{{- if gt (int .Values.replicas) 1 }}true{{ end }}
{{- end }}

{{/* "true" where the chart itself writes the configuration, and can read in it. */}}
{{- define "whyd.isConfigInline" -}}
{{- if not (or .Values.existingConfigMap .Values.existingSecret) }}true{{ end }}
{{- end }}

{{/* What the chart adds to the configuration, as YAML; empty if nothing. */}}
{{- define "whyd.addedConfig" -}}
{{- $added := dict }}
{{- $inline := ternary .Values.config dict (eq (include "whyd.isConfigInline" .) "true") }}
{{- if and (include "whyd.isScaledOut" .) (not .Values.scaleOut.configured) (not (hasKey $inline "scale_out")) }}
{{- $election := "none" }}
{{- if eq .Values.scaleOut.election "leases" }}
{{- $election = dict "leases" (dict "name" (include "whyd.leaseName" .)) }}
{{- end }}
{{- $_ := set $added "scale_out" (dict "factor" (min (int .Values.scaleOut.factor) (int .Values.replicas)) "election" $election) }}
{{- end }}
{{- if .Values.location }}
{{- $_ := set $added "location" .Values.location }}
{{- end }}
{{- if .Values.discovery.kubernetes.enabled }}
{{- $kubernetes := dict "roles" .Values.discovery.kubernetes.roles }}
{{- with .Values.discovery.kubernetes.namespaces }}
{{- $_ := set $kubernetes "namespaces" . }}
{{- end }}
{{- with .Values.discovery.kubernetes.selector }}
{{- $_ := set $kubernetes "selector" . }}
{{- end }}
{{- with .Values.discovery.kubernetes.annotationPrefix }}
{{- $_ := set $kubernetes "annotation_prefix" . }}
{{- end }}
{{- $source := merge (dict "name" "kubernetes" "kubernetes" $kubernetes) (deepCopy .Values.discovery.kubernetes.settings) }}
{{- $_ := set $added "discovery" (list $source) }}
{{- end }}
{{- with $added }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- define "whyd.leaseName" -}}
{{- default (include "whyd.fullname" .) .Values.scaleOut.leaseName }}
{{- end }}

{{/* Where Kubernetes is asked for what is to be watched, as JSON: {sources: [{roles: […], namespaces: […]}]}. */}}
{{- define "whyd.kubernetesSources" -}}
{{- $sources := list }}
{{- if .Values.discovery.kubernetes.enabled }}
{{- $sources = append $sources (dict "roles" .Values.discovery.kubernetes.roles "namespaces" .Values.discovery.kubernetes.namespaces) }}
{{- end }}
{{- range .Values.rbac.sources }}
{{- $sources = append $sources (dict "roles" .roles "namespaces" (default list .namespaces)) }}
{{- end }}
{{- if include "whyd.isConfigInline" . }}
{{- range (default list .Values.config.discovery) }}
{{- if hasKey . "kubernetes" }}
{{- $kubernetes := default dict .kubernetes }}
{{- /* One with a kubeconfig is somebody else there. */}}
{{- if not (hasKey $kubernetes "kubeconfig") }}
{{- $roles := default (list "services") $kubernetes.roles }}
{{- $namespaces := default list $kubernetes.namespaces }}
{{- $roles = ternary $roles (list $roles) (kindIs "slice" $roles) }}
{{- $namespaces = ternary $namespaces (list $namespaces) (kindIs "slice" $namespaces) }}
{{- $sources = append $sources (dict "roles" $roles "namespaces" $namespaces) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- dict "sources" $sources | toJson }}
{{- end }}

{{/* "true" where replicas hold Leases. */}}
{{- define "whyd.holdsLeases" -}}
{{- $election := .Values.scaleOut.election }}
{{- if include "whyd.isConfigInline" . }}
{{- with .Values.config.scale_out }}
{{- $election = ternary "none" "leases" (eq (toString (default "none" .election)) "none") }}
{{- end }}
{{- end }}
{{- if and (include "whyd.isScaledOut" .) (eq $election "leases") }}true{{ end }}
{{- end }}

{{/* Where the Leases are: the release's namespace, unless the configuration names another. */}}
{{- define "whyd.leaseNamespace" -}}
{{- $namespace := "" }}
{{- if include "whyd.isConfigInline" . }}
{{- $election := (default dict .Values.config.scale_out).election }}
{{- if kindIs "map" $election }}
{{- $namespace = (default dict $election.leases).namespace }}
{{- end }}
{{- end }}
{{- default (include "whyd.namespace" .) $namespace }}
{{- end }}

{{/* "true" where whyd asks the API server for anything. */}}
{{- define "whyd.asksKubernetes" -}}
{{- $found := include "whyd.kubernetesSources" . | fromJson }}
{{- if or $found.sources (include "whyd.holdsLeases" .) }}true{{ end }}
{{- end }}

{{- define "whyd.createsServiceAccount" -}}
{{- if eq (toString .Values.serviceAccount.create) "auto" }}
{{- include "whyd.asksKubernetes" . }}
{{- else if .Values.serviceAccount.create }}true{{ end }}
{{- end }}

{{- define "whyd.serviceAccountName" -}}
{{- if .Values.serviceAccount.name }}
{{- .Values.serviceAccount.name }}
{{- else if include "whyd.createsServiceAccount" . }}
{{- include "whyd.fullname" . }}
{{- else }}
{{- "default" }}
{{- end }}
{{- end }}

{{- define "whyd.mountsToken" -}}
{{- if eq (toString .Values.serviceAccount.automount) "auto" }}
{{- ternary "true" "false" (eq (include "whyd.asksKubernetes" .) "true") }}
{{- else }}
{{- .Values.serviceAccount.automount }}
{{- end }}
{{- end }}

{{/* HTTP or HTTPS. */}}
{{- define "whyd.scheme" -}}
{{- if ne .Values.listen.scheme "auto" }}
{{- .Values.listen.scheme }}
{{- else }}
{{- $tls := and (include "whyd.isConfigInline" .) (dig "listen" "tls" false .Values.config) }}
{{- ternary "HTTPS" "HTTP" (not (empty $tls)) }}
{{- end }}
{{- end }}

{{/* ADDR:PORT as `--listen` takes it. */}}
{{- define "whyd.listen" -}}
{{- if contains ":" .Values.listen.address }}
{{- printf "[%s]:%d" .Values.listen.address (int .Values.listen.port) }}
{{- else }}
{{- printf "%s:%d" .Values.listen.address (int .Values.listen.port) }}
{{- end }}
{{- end }}

{{/* The parts of the volume with the configuration. */}}
{{- define "whyd.configSources" -}}
{{- if .Values.existingConfigMap }}
- configMap:
    name: {{ .Values.existingConfigMap }}
{{- end }}
{{- if .Values.existingSecret }}
- secret:
    name: {{ .Values.existingSecret }}
{{- end }}
{{- if include "whyd.config" . }}
- {{ ternary "secret" "configMap" (eq .Values.configKind "Secret") }}:
    name: {{ include "whyd.fullname" . }}
{{- end }}
{{- end }}

{{/* The files that the chart writes, as a mapping of names to texts; empty if there are none. */}}
{{- define "whyd.config" -}}
{{- $files := deepCopy .Values.configFiles }}
{{- if include "whyd.isConfigInline" . }}
{{- $_ := set $files "whyd.yaml" (toYaml .Values.config) }}
{{- end }}
{{- with include "whyd.addedConfig" . }}
{{- $_ := set $files "helm-chart.yaml" . }}
{{- end }}
{{- with $files }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* Volumes that whyd's container and the one of `helm test` have. */}}
{{- define "whyd.volumes" -}}
- name: config
  projected:
    sources:
      {{- include "whyd.configSources" . | trim | nindent 6 }}
{{- range $i, $secret := .Values.secrets }}
- name: secret-{{ $i }}
  secret:
    secretName: {{ $secret.name }}
    {{- with $secret.items }}
    items:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $secret.optional }}
    optional: {{ . }}
    {{- end }}
    {{- if hasKey $secret "defaultMode" }}
    defaultMode: {{ $secret.defaultMode | int }}
    {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "whyd.volumeMounts" -}}
- name: config
  mountPath: /etc/whyd
  readOnly: true
{{- range $i, $secret := .Values.secrets }}
- name: secret-{{ $i }}
  mountPath: {{ default (printf "/run/secrets/%s" $secret.name) $secret.mountPath }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "whyd.env" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: CONTAINER_NAME
  value: whyd
{{- if include "whyd.isScaledOut" . }}
- name: WHYD_REPLICAS
  value: {{ .Values.replicas | int | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "whyd.podSecurityContext" -}}
{{- $context := deepCopy .Values.podSecurityContext }}
{{- if .Values.ping.sysctl }}
{{- $sysctl := dict "name" "net.ipv4.ping_group_range" "value" "0 2147483647" }}
{{- $_ := set $context "sysctls" (append (default list $context.sysctls) $sysctl) }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{- define "whyd.securityContext" -}}
{{- $context := deepCopy .Values.securityContext }}
{{- if .Values.ping.rawSocket }}
{{- /* A process that is not root has none of the capabilities that its container was given. */}}
{{- $capabilities := default dict $context.capabilities }}
{{- $_ := set $capabilities "add" (append (default list $capabilities.add) "NET_RAW" | uniq) }}
{{- $context = mergeOverwrite $context (dict "capabilities" $capabilities "runAsUser" 0 "runAsNonRoot" false) }}
{{- end }}
{{- toYaml $context }}
{{- end }}

{{/* A probe: dict "root" $ "probe" … "path" …. */}}
{{- define "whyd.probe" -}}
{{- toYaml (omit .probe "enabled") }}
httpGet:
  path: {{ .path }}
  port: http
  scheme: {{ include "whyd.scheme" .root }}
{{- end }}

{{/* What cannot work is refused with its reason. */}}
{{- define "whyd.check" -}}
{{- if and .Values.existingConfigMap .Values.existingSecret }}
{{- fail "existingConfigMap and existingSecret are both given: the configuration is in one of them" }}
{{- end }}
{{- if and .Values.persistence.existingClaim (include "whyd.isScaledOut" .) }}
{{- fail "persistence.existingClaim is for one replica: several need a volume each, which they get without it" }}
{{- end }}
{{- if and .Values.ping.sysctl .Values.hostNetwork }}
{{- fail "ping.sysctl cannot be set on the node's network (hostNetwork): set net.ipv4.ping_group_range on the nodes" }}
{{- end }}
{{- range list "whyd.yaml" "helm-chart.yaml" }}
{{- if hasKey $.Values.configFiles . }}
{{- fail (printf "configFiles: the chart itself writes %s: take another name" .) }}
{{- end }}
{{- end }}
{{- if include "whyd.isConfigInline" . }}
{{- if and .Values.location (hasKey .Values.config "location") }}
{{- fail "location is given twice: by itself and in config" }}
{{- end }}
{{- end }}
{{- if and .Values.podDisruptionBudget.enabled (eq (toString .Values.podDisruptionBudget.maxUnavailable) "") (eq (toString .Values.podDisruptionBudget.minAvailable) "") }}
{{- fail "podDisruptionBudget needs maxUnavailable or minAvailable" }}
{{- end }}
{{- end }}

{{/* Replicas keep away from each other, unless somebody knows better. */}}
{{- define "whyd.affinity" -}}
{{- if .Values.affinity }}
{{- toYaml .Values.affinity }}
{{- else if and (include "whyd.isScaledOut" .) (ne .Values.podAntiAffinity "none") }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "whyd.selectorLabels" . | fromYaml)) }}
podAntiAffinity:
  {{- if eq .Values.podAntiAffinity "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    - {{ toYaml $term | nindent 6 | trim }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        {{- toYaml $term | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}
