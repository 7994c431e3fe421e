{{- define "fleetopt.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "fleetopt.selector" -}}
app.kubernetes.io/name: fleetopt
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fleetopt.labels" -}}
{{ include "fleetopt.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
