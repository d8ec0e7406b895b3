package coraza

import (
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/corazawaf/coraza/v3/collection"
	"github.com/corazawaf/coraza/v3/experimental/plugins/plugintypes"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/corazawaf/coraza/v3/types/variables"

	"gatehouse/rules"
	"gatehouse/rules/body"
	"gatehouse/rules/media"
)

// The TX variables that lowered text reads. Keys are lower case.
const (
	txDetect      = "gatehouse_detect"
	txHost        = "gatehouse_host"
	txPath        = "gatehouse_path"
	txApplication = "gatehouse_application"
	txRoute       = "gatehouse_route"
	txTraffic     = "gatehouse_traffic"
	txNow         = "gatehouse_now"
	txKind        = "gatehouse_kind"
)

// set sets a variable with a single value. Coraza's own are all settable; its interface does not say so.
func set(v collection.Collection, value string) {
	v.(interface{ Set(string) }).Set(value)
}

// setTX sets a TX variable.
func setTX(v plugintypes.TransactionVariables, key, value string) {
	v.TX().Set(key, []string{value})
}

// kindOf is the kind of the request's body, unknown if its Content-Type cannot be read in exactly one way.
func kindOf(headers []rules.Header) string {
	var fields []string
	for _, h := range headers {
		if strings.EqualFold(h.Name, "Content-Type") {
			fields = append(fields, h.Value)
		}
	}
	kind, _ := media.ParseContentType(fields)
	return kind.String()
}

// fillRequest gives Coraza everything that phase 1 sees.
// arguments bounds those of the query.
func fillRequest(tx types.Transaction, state plugintypes.TransactionState, r *rules.Request, detectOnly bool, arguments int) {
	tx.ProcessConnection(addressOf(r.Client), int(r.Client.Port()), addressOf(r.Server), int(r.Server.Port()))
	tx.ProcessURI(r.Target, r.Method, r.Protocol)
	for _, h := range r.Headers {
		tx.AddRequestHeader(ownKey(h.Name), h.Value)
		if strings.EqualFold(h.Name, "Host") {
			tx.SetServerName(serverName(h.Value))
		}
	}
	v := state.Variables()
	separate(v.RequestCookies())
	overlongArguments(v, arguments)
	separate(v.ArgsGet())

	setTX(v, txDetect, zeroOrOne(r.Detect && detectOnly))
	setTX(v, txHost, r.Host)
	setTX(v, txPath, r.Path)
	setTX(v, txApplication, r.Application)
	setTX(v, txRoute, r.Route)
	setTX(v, txTraffic, r.Traffic)
	setTX(v, txKind, kindOf(r.Headers))
	setTX(v, txNow, strconv.FormatInt(r.Time.Unix(), 10))
	setTime(state, r.Time.UTC())
}

// overlongArguments adds the reading of lenient decoders for every argument of the query that has one, as body does for
// forms: all of them or, where there is no room for all, none.
func overlongArguments(v plugintypes.TransactionVariables, limit int) {
	sent := v.ArgsGet().FindAll()
	var read []body.Argument
	for _, d := range sent {
		name, value := body.Shortest(d.Key()), body.Shortest(d.Value())
		if len(name) != len(d.Key()) || len(value) != len(d.Value()) {
			read = append(read, body.Argument{Name: name, Value: value})
		}
	}
	if len(sent)+len(read) > limit && len(read) > 0 {
		set(v.ArgumentsLimitReached(), "1")
		return
	}
	for _, a := range read {
		v.ArgsGet().Add(ownKey(a.Name), a.Value)
	}
}

func zeroOrOne(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func addressOf(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.Addr().Unmap().WithZone("").String() // a zone is this host's, and no network has one
}

// serverName is the host of a Host header without the port.
func serverName(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return host[:i]
	}
	return host
}

func setTime(state plugintypes.TransactionState, t time.Time) {
	for _, x := range []struct {
		variable variables.RuleVariable
		value    string
	}{
		{variables.TimeEpoch, strconv.FormatInt(t.Unix(), 10)},
		{variables.Time, t.Format(time.TimeOnly)},
		{variables.TimeHour, t.Format("15")},
		{variables.TimeMin, t.Format("04")},
		{variables.TimeSec, t.Format("05")},
		{variables.TimeDay, strconv.Itoa(t.Day())},
		{variables.TimeMon, strconv.Itoa(int(t.Month()))},
		{variables.TimeYear, strconv.Itoa(t.Year())},
		{variables.TimeWday, strconv.Itoa(int(t.Weekday()))},
	} {
		set(state.Collection(x.variable), x.value)
	}
}

// fillBody gives Coraza a parsed request body.
func fillBody(v plugintypes.TransactionVariables, processor string, p *body.Parsed) {
	post := v.ArgsPost()
	for _, a := range p.Arguments {
		post.Add(ownKey(a.Name), a.Value)
	}
	if p.Cut {
		set(v.ArgumentsLimitReached(), "1")
	}
	if p.HasBody {
		set(v.RequestBody(), p.Body)
	}
	if p.Document != "" {
		setTX(v, "json_request_body", p.Document)
	}
	fillMultipart(v, p)
	if len(p.XMLTexts)+len(p.XMLAttributes) > 0 {
		v.RequestXML().Set("/*", p.XMLTexts)
		v.RequestXML().Set("//@*", p.XMLAttributes)
	}
	if p.Problem != nil {
		message := p.Problem.Error()
		set(v.RequestBodyError(), "1")
		set(v.RequestBodyErrorMsg(), processor+": "+message)
		set(v.RequestBodyProcessorError(), "1")
		set(v.RequestBodyProcessorErrorMsg(), message)
	}
}

func fillMultipart(v plugintypes.TransactionVariables, p *body.Parsed) {
	for _, h := range p.PartHeaders {
		v.MultipartPartHeaders().Add(ownKey(h.Name), h.Value)
	}
	for _, name := range p.FieldNames {
		v.MultipartName().Add(ownKey(name), name)
	}
	for _, f := range p.Files {
		v.FilesNames().Add(ownKey(""), f.Field)
		for _, name := range f.Names {
			v.Files().Add(ownKey(""), name)
			v.FilesSizes().Add(ownKey(name), strconv.FormatInt(f.Size, 10))
			v.MultipartFilename().Add(ownKey(f.Field), name)
		}
	}
	for _, n := range p.ExtendedNames {
		v.MultipartFilenameCharset().Add(ownKey(n.Field), n.Charset)
		v.MultipartFilenameLanguage().Add(ownKey(n.Field), n.Language)
	}
	if len(p.FieldNames) > 0 {
		set(v.FilesCombinedSize(), strconv.FormatInt(p.FieldsSize, 10))
	}
	if p.Strict.Any {
		set(v.MultipartStrictError(), "1")
	}
	if p.Strict.DuplicateHeader {
		set(v.MultipartDuplicatePartHeader(), "1")
	}
	if p.Strict.InvalidQuoting {
		set(v.MultipartInvalidQuoting(), "1")
	}
}

// ownKey returns the name in memory of its own. Coraza remembers transformed values by the address of the name that
// they stand under, so that values which share a name's memory would be taken for each other.
func ownKey(name string) string {
	if name == "" {
		return strings.Clone("-")[:0]
	}
	return strings.Clone(name)
}

// separate gives each value under a repeated name a name of its own.
func separate(m collection.Map) {
	all := m.FindAll()
	count := make(map[string]int, len(all))
	for _, d := range all {
		count[strings.ToLower(d.Key())]++
	}
	for name, n := range count {
		if n > 1 {
			m.Remove(name)
		}
	}
	for _, d := range all {
		if count[strings.ToLower(d.Key())] > 1 {
			m.Add(ownKey(d.Key()), d.Value())
		}
	}
}

// disruption is Coraza's number for what a rule does to a request.
type disruption int64

const (
	disruptionAllow    disruption = 1
	disruptionDeny     disruption = 2
	disruptionDrop     disruption = 3
	disruptionRedirect disruption = 5
)

// refuses says whether the rule's own action refuses requests.
func (d disruption) refuses() bool {
	return d == disruptionDeny || d == disruptionDrop || d == disruptionRedirect
}

// disruptionOf reads the disruptive action that Coraza resolved for a matched rule, which it does not export a method
// for.
func disruptionOf(m types.MatchedRule) disruption {
	return disruption(reflect.ValueOf(m).Elem().FieldByName("DisruptiveAction_").Int())
}

// forcesBody reads whether a rule said ctl:forceRequestBodyVariable=On.
func forcesBody(tx types.Transaction) bool {
	return reflect.ValueOf(tx).Elem().FieldByName("ForceRequestBodyVariable").Bool()
}

// wouldInterrupt is the interruption that DetectionOnly mode kept back, nil if there was none.
func wouldInterrupt(tx types.Transaction) (*types.Interruption, error) {
	kept, ok := tx.(interface{ DetectionOnlyInterruption() *types.Interruption })
	if !ok {
		return nil, errors.New("this version of Coraza does not say what DetectionOnly kept back")
	}
	return kept.DetectionOnlyInterruption(), nil
}
