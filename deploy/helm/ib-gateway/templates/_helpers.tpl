{{- define "ib-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ib-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "ib-gateway.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ib-gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ib-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: oauth
{{- end -}}

{{- define "ib-gateway.labels" -}}
{{ include "ib-gateway.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ib-gateway
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "ib-gateway.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Whether the store is the embedded one: a file, which one process alone may have open. */}}
{{- define "ib-gateway.isEmbedded" -}}
{{- if eq .Values.settings.store.engine "redb" -}}yes{{- end -}}
{{- end -}}

{{/* The settings as the service reads them. */}}
{{- define "ib-gateway.settings" -}}
{{- $listen := dict "public" "0.0.0.0:8081" "internal" "0.0.0.0:8082" -}}
{{- toYaml (merge (dict "listen" $listen) .Values.settings) -}}
{{- end -}}

{{- define "ib-gateway.pluginImage" -}}
{{- $digest := required "plugin.image.digest is needed: the plugin is pinned by its digest" .Values.plugin.image.digest -}}
{{- printf "%s@%s" .Values.plugin.image.repository $digest -}}
{{- end -}}
