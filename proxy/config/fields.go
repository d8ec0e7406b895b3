package config

import (
	"math"
	"reflect"
	"strings"
)

// field describes one key of the configuration: decoding takes the bounds from it, filling in takes the default, and
// the JSON Schema and the configuration reference take all of it.
type field struct {
	doc string
	// def is the default as it would be written; empty if there is none or if it depends on other keys.
	def string
	// bounds limit whole numbers, both ends included; nil means none beyond the type's.
	bounds *bounds
	// file marks the path of a file, which is relative to the file that it is written in.
	file bool
	// mayBeEmpty lets a key with a closed set of words be "".
	mayBeEmpty bool
	// multiline lets a text hold line breaks and tabs.
	multiline bool
	required  bool
}

type bounds struct{ min, max int }

func between(lo, hi int) *bounds { return &bounds{lo, hi} }

// fields is the one table of keys, by struct and field name.
var fields = map[string]field{
	"Config.Version":      {doc: "Version of this format.", def: "1", bounds: between(1, 1)},
	"Config.Listeners":    {doc: "Addresses that take traffic. Without any there is one on :8080."},
	"Config.Admin":        {doc: "The listener for metrics, health and status."},
	"Config.Certificates": {doc: "TLS certificates of https listeners, chosen by SNI, and client certificates for upstreams."},
	"Config.Upstreams":    {doc: "Where clean traffic goes."},
	"Config.Applications": {doc: "The protected sites.", required: true},
	"Config.Policies":     {doc: "Reusable rule settings. The policy default exists without being written."},
	"Config.Lists":        {doc: "Named sets of client addresses for rules."},
	"Config.Groups":       {doc: "Gateway groups; only the manager uses them."},
	"Config.Logs":         {doc: "Where access and event records go. The process's own log goes to stderr."},

	"Listener.Name":           {doc: "Name, unique among the listeners; unless set, the protocol."},
	"Listener.Address":        {doc: "Address and port to listen on; port 0 lets the system choose.", def: ":8080"},
	"Listener.Protocol":       {doc: "What the listener speaks; https takes its certificates by SNI.", def: "http"},
	"Listener.H2C":            {doc: "Take HTTP/2 without TLS from clients with prior knowledge; protocol http only."},
	"Listener.ProxyProtocol":  {doc: "Whether connections begin with a PROXY protocol header, version 1 or 2.", def: "none"},
	"Listener.TrustedHops":    {doc: "Proxies of ours in front: the client is that many addresses from the right of X-Forwarded-For. Unless set, 1; with proxy_protocol: required, 0.", bounds: between(0, 16)},
	"Listener.TrustedProxies": {doc: "TCP peers whose PROXY or forwarding headers count; empty means private ranges."},
	"Listener.HealthPath":     {doc: "Path that answers like /readyz to trusted peers that send no X-Forwarded-For; never forwarded.", def: "/.gatehouse/ready"},
	"Listener.Timeouts":       {doc: "Bounds on what a client may take."},

	"ListenerTimeouts.Header":   {doc: "Time for the whole request header.", def: "10s"},
	"ListenerTimeouts.Idle":     {doc: "Time that a connection may stay without a request.", def: "75s"},
	"ListenerTimeouts.BodyIdle": {doc: "Time that may pass between two parts of a request body.", def: "30s"},

	"Admin.Address": {doc: "Address and port of /metrics, /livez and /readyz; on loopback also /status and profiles.", def: "127.0.0.1:9081"},

	"Certificate.Name":     {doc: "Name, unique among the certificates.", required: true},
	"Certificate.CertFile": {doc: "PEM file with the certificate and its intermediates.", file: true},
	"Certificate.KeyFile":  {doc: "PEM file with the private key.", file: true},
	"Certificate.Secret":   {doc: "Instead of the two files: file:PATH, a PEM file with certificate and key, or in a revision sealed:NAME, the same sealed with the group's key."},

	"Upstream.Name":          {doc: "Name, unique among the upstreams.", required: true},
	"Upstream.URL":           {doc: "Short form of urls with one entry."},
	"Upstream.URLs":          {doc: "Addresses, all http or all https: scheme, host and optional port."},
	"Upstream.AllowLoopback": {doc: "Allow addresses of this host; only for an upstream that runs here."},
	"Upstream.TLS":           {doc: "How an https upstream is verified."},
	"Upstream.Timeouts":      {doc: "Bounds on what the upstream may take."},
	"Upstream.Balance":       {doc: "How one of the addresses is chosen.", def: "least_connections"},
	"Upstream.Health":        {doc: "Active health check; without a path only failed connections count."},

	"UpstreamTLS.VerifyName":        {doc: "Name that the certificate must carry: url_host, request_host or a DNS name.", def: "url_host"},
	"UpstreamTLS.CAFile":            {doc: "PEM file with the authorities that are trusted instead of the system's.", file: true},
	"UpstreamTLS.ClientCertificate": {doc: "Name of the certificate that the gateway shows to the upstream."},

	"UpstreamTimeouts.Connect":   {doc: "Time to connect, TLS included.", def: "3s"},
	"UpstreamTimeouts.FirstByte": {doc: "Time from the end of the request to the reply's header.", def: "60s"},
	"UpstreamTimeouts.Idle":      {doc: "Time that an unused connection is kept; less than the upstream's own.", def: "50s"},

	"Health.Path":      {doc: "Path of the check; a 2xx or 3xx status is a success."},
	"Health.Interval":  {doc: "Time between two checks; with a path 10s unless set."},
	"Health.Healthy":   {doc: "Successes in a row that make an address healthy; with a path 2 unless set.", bounds: between(1, 100)},
	"Health.Unhealthy": {doc: "Failures in a row that make an address unhealthy; with a path 3 unless set.", bounds: between(1, 100)},

	"Application.Name":              {doc: "Name, unique among the applications; unless set, the first host."},
	"Application.Owner":             {doc: "Team or person that answers for the application."},
	"Application.Hosts":             {doc: `Hosts: exact names, "*.example.com", or "*" for every other host.`, required: true},
	"Application.Mode":              {doc: "What happens to a request that would be refused: nothing is inspected, it is recorded, or it is refused.", def: "detect"},
	"Application.Policy":            {doc: "Name of the policy.", def: "default"},
	"Application.OnInspectionError": {doc: "What happens in mode block when inspection itself fails.", def: "refuse"},
	"Application.Replies":           {doc: "What a refused client sees."},
	"Application.Upstream":          {doc: "A URL, or the name of an upstream."},
	"Application.Routes":            {doc: "Paths and methods to upstreams. Without any there is one for /."},
	"Application.Exclusions":        {doc: "Scoped exceptions from rules, for this application."},
	"Application.Rules":             {doc: "Rules of this application, after those of its policy."},

	"Replies.Contact":  {doc: "Whom a refused client may ask; shown with the incident ID."},
	"Replies.HTMLFile": {doc: "HTML template instead of the built-in page.", file: true},
	"Replies.Status":   {doc: "Status of a refusal.", def: "403", bounds: between(400, 599)},

	"Route.Path":         {doc: "Path, compared decoded and without dot segments.", def: "/"},
	"Route.Match":        {doc: "Whether the route takes everything below the path, by whole segments, or the path alone.", def: "prefix"},
	"Route.Methods":      {doc: "Methods that the route takes; empty means all that the traffic allows."},
	"Route.Traffic":      {doc: "What the route carries; unless set, auto."},
	"Route.Upstream":     {doc: "Name of an upstream, or a URL; empty means the application's."},
	"Route.Mode":         {doc: "Mode of this route; empty means the application's.", mayBeEmpty: true},
	"Route.Rewrite":      {doc: "Changes to the request on its way to the upstream, or a redirect."},
	"Route.EncodedSlash": {doc: "What happens to %2F in a path.", def: "reject"},
	"Route.Body":         {doc: "Limits of request bodies."},
	"Route.Response":     {doc: "Inspection of replies."},

	"Rewrite.StripPrefix":   {doc: "Leading segments that are cut off the path."},
	"Rewrite.ReplacePrefix": {doc: "What stands in place of the route's path."},
	"Rewrite.Host":          {doc: "Host that the upstream sees instead of the client's."},
	"Rewrite.SetHeaders":    {doc: "Request headers that are set, replacing the client's."},
	"Rewrite.RemoveHeaders": {doc: "Request headers that are removed."},
	"Rewrite.Redirect":      {doc: "Answer with a redirect instead of forwarding."},
	"Redirect.To":           {doc: "Location: an http or https URL, or a path.", required: true},
	"Redirect.Status":       {doc: "Status: 301, 302, 303, 307 or 308.", def: "302"},

	"Body.MaxBytes":     {doc: "Longest body; beyond it the reply is 413 in every mode. Unless set, 10MiB for auto and api, no limit for grpc."},
	"Body.InspectBytes": {doc: "How much of a body is inspected, decoded. Unless set, 1MiB for auto and max_bytes for api."},
	"Body.Oversize":     {doc: "What happens beyond inspect_bytes: the first part is inspected and the rest streamed, or the body is refused. Unless set, inspect_prefix."},

	"Response.Inspect":      {doc: "Inspect replies (phases 3 and 4)."},
	"Response.InspectBytes": {doc: "How much of a reply is inspected.", def: "128KiB"},
	"Response.Types":        {doc: "Content types that are inspected; unless set, text/html, application/json and text/plain."},

	"Policy.Name":        {doc: "Name, unique among the policies.", required: true},
	"Policy.Extends":     {doc: "Name of the policy whose settings this one inherits and whose rules come first."},
	"Policy.CRS":         {doc: "OWASP Core Rule Set."},
	"Policy.Rules":       {doc: "Rules without SecLang."},
	"Policy.SecLang":     {doc: "Rules in SecLang: SecRule, SecAction, SecMarker, SecRuleRemove* and SecRuleUpdate*, with ids 1 to 99999.", multiline: true},
	"Policy.SecLangFile": {doc: "File with rules in SecLang, instead of seclang.", file: true},
	"Policy.Exclusions":  {doc: "Scoped exceptions from rules, for every application with this policy; they name hosts."},
	"Policy.RateLimits":  {doc: "Bounds on how often one key may be seen."},

	"CRS.Version":           {doc: `Release such as "4.25.0"; empty means the newest embedded one.`},
	"CRS.Setup":             {doc: "Settings that CRS starts from: gatehouse-1 is ours, stock is crs-setup.conf as CRS ships it. Unless set, the parent policy's or gatehouse-1."},
	"CRS.Paranoia":          {doc: "Paranoia level. Unless set, the parent policy's or 1.", bounds: between(1, 4)},
	"CRS.InboundThreshold":  {doc: "Anomaly score at which a request is refused. Unless set, the parent policy's or 5.", bounds: between(1, math.MaxInt32)},
	"CRS.OutboundThreshold": {doc: "Anomaly score at which a reply is refused. Unless set, the parent policy's or 4.", bounds: between(1, math.MaxInt32)},

	"Rule.Name":  {doc: "Name, shown in records.", required: true},
	"Rule.When":  {doc: "Condition: its keys must all hold, of the values of one key any.", required: true},
	"Rule.Then":  {doc: "What happens to a request that matches; allow ends its inspection.", required: true},
	"Rule.Stage": {doc: "Whether the rule acts or only records.", def: "enforce"},

	"When.Client":  {doc: "Client addresses: names of lists, addresses or networks."},
	"When.Host":    {doc: "Hosts of the request."},
	"When.Path":    {doc: "Path patterns: * is one segment, ** the rest. Rules that block also take other letter case, path parameters and a slash at the end."},
	"When.Methods": {doc: "Methods of the request."},
	"When.Any":     {doc: "Conditions of which at least one must hold."},
	"When.Not":     {doc: "Condition that must not hold."},

	"Exclusion.Name":         {doc: "Name, shown in records when the exclusion takes effect.", required: true},
	"Exclusion.Rules":        {doc: "Rule ids."},
	"Exclusion.Tags":         {doc: "Rule tags, such as attack-sqli."},
	"Exclusion.Hosts":        {doc: "Hosts that the exclusion is for; policies only."},
	"Exclusion.Path":         {doc: "Path pattern: * is one segment, ** the rest."},
	"Exclusion.Methods":      {doc: "Methods that the exclusion is for; empty means all."},
	"Exclusion.Targets":      {doc: "What the rules do not look at: json:, form:, query:, header:, cookie: or xml: and a name or path. xml:text covers attribute values too."},
	"Exclusion.WholeRequest": {doc: "Exclude the whole request; required where no targets are named."},
	"Exclusion.Owner":        {doc: "Who answers for the exclusion."},
	"Exclusion.Reason":       {doc: "Why it is needed."},
	"Exclusion.Expires":      {doc: "Last day (UTC) on which it is valid; without it, it does not expire."},

	"RateLimit.Name":    {doc: "Name, shown in records.", required: true},
	"RateLimit.Path":    {doc: "Path pattern that is counted; empty means every path. Letter case, path parameters and a slash at the end make no difference."},
	"RateLimit.Methods": {doc: "Methods that are counted; empty means all. GET includes HEAD."},
	"RateLimit.Key":     {doc: "What is counted together: client (IPv6 by /64), header:NAME, cookie:NAME, query:NAME, form:NAME, json:PATH, or several of them. Requests without a value are counted together.", required: true},
	"RateLimit.Limit":   {doc: "How fast requests may come in the long run: a count and a time span, such as 10/1m.", required: true},
	"RateLimit.Burst":   {doc: "How many may come at once; it fills up again at the pace of limit. Unless set, the count of limit.", bounds: between(1, math.MaxInt32)},

	"List.Name":      {doc: "Name, unique among the lists.", required: true},
	"List.Addresses": {doc: "Addresses and networks; an entry may expire."},
	"List.File":      {doc: "File with one address or network a line; # begins a comment.", file: true},
	"List.URL":       {doc: "Where the manager fetches the list."},

	"ListEntry.Address": {doc: "Address or network.", required: true},
	"ListEntry.Expires": {doc: "Last day (UTC) on which the entry counts."},

	"Group.Name":         {doc: "Name, unique among the groups.", required: true},
	"Group.Listeners":    {doc: "Names of listeners.", required: true},
	"Group.Applications": {doc: `Names of applications, or "*" for all.`, required: true},
	"Group.Rollout":      {doc: "How a revision reaches the group."},

	"Rollout.Stages": {doc: `Steps: a number of gateways, a share such as "10%", or all. Unless set, 1, 10%, 50%, all.`},
	"Rollout.Soak":   {doc: "Time that each stage is watched.", def: "10m"},

	"Logs.Access": {doc: "Access records."},
	"Logs.Events": {doc: "Security events."},

	"Sink.To":      {doc: "stdout, none, or the path of a file.", def: "stdout"},
	"Sink.MaxSize": {doc: "Size at which a file is rotated; 100MiB unless set."},
	"Sink.Keep":    {doc: "Rotated files that stay; 5 unless set.", bounds: between(1, 10000)},
}

// fieldOf finds the description of a struct's field. Structs of other packages, which the table has not, tag the fields that name
// files: yaml:"KEY,file".
func fieldOf(t reflect.Type, f reflect.StructField) field {
	if _, options, _ := strings.Cut(f.Tag.Get("yaml"), ","); options == "file" {
		return field{file: true}
	}
	return fields[t.Name()+"."+f.Name]
}

// keyOf gives the key of a field in YAML and whether an empty value is left out.
func keyOf(f reflect.StructField) (name string, omitEmpty bool) {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name, options == "omitempty"
}

// keysOf lists the keys of a struct in their order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		name, _ := keyOf(t.Field(i))
		keys = append(keys, name)
	}
	return keys
}
