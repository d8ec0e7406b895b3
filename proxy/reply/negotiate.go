package reply

import (
	"strings"
)

// maxAccept bounds how much of Accept is read.
const maxAccept = 4 << 10

// Negotiate picks HTML or ProblemJSON by the values of Accept. HTML is for clients that name it, as browsers do when
// they load a page; everything else, */* and scripts included, gets ProblemJSON. Between both, the higher quality wins,
// then the one that is named first.
func Negotiate(accept []string) Format {
	var page, data choice
	position := 0
	for rest := strings.Join(accept, ","); rest != "" && position < 64; position++ {
		if len(rest) > maxAccept {
			rest = rest[:maxAccept]
		}
		var part string
		part, rest = nextPart(rest, ',')
		mediaRange, q, ok := parseRange(part)
		if !ok {
			continue
		}
		switch mediaRange {
		case "text/html", "application/xhtml+xml":
			page.take(3, q, position)
		case "text/*":
			page.take(2, q, position)
		case "application/problem+json", "application/json":
			data.take(3, q, position)
		case "application/*":
			data.take(2, q, position)
		case "*/*":
			data.take(1, q, position)
		}
	}
	switch {
	case page.q == 0 || page.q < data.q:
		return ProblemJSON
	case page.q == data.q && data.specificity == 3 && data.position < page.position:
		return ProblemJSON
	}
	return HTML
}

// choice is the best range so far that a format is covered by: a more specific one overrides the others, among equals
// the higher quality counts.
type choice struct {
	specificity int
	q           int // in thousandths
	position    int
}

func (c *choice) take(specificity, q, position int) {
	if specificity > c.specificity || specificity == c.specificity && q > c.q {
		*c = choice{specificity, q, position}
	}
}

// nextPart cuts s at the first separator outside of quotes.
func nextPart(s string, separator byte) (part, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// parseRange reads a media range and its quality in thousandths, 1000 if it has none.
func parseRange(s string) (mediaRange string, q int, ok bool) {
	mediaRange, rest := nextPart(s, ';')
	mediaRange = strings.ToLower(strings.TrimSpace(mediaRange))
	if !strings.Contains(mediaRange, "/") {
		return "", 0, false
	}
	q = 1000
	for rest != "" {
		var parameter string
		parameter, rest = nextPart(rest, ';')
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, ok = parseQuality(strings.TrimSpace(value)); !ok {
			return "", 0, false
		}
		break // what follows q are extensions of Accept
	}
	return mediaRange, q, true
}

// parseQuality reads 0 to 1 with at most three decimals.
func parseQuality(s string) (int, bool) {
	whole, decimals, _ := strings.Cut(s, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0, false
	}
	q := int(whole[0]-'0') * 1000
	for i, weight := 0, 100; i < len(decimals); i, weight = i+1, weight/10 {
		if decimals[i] < '0' || decimals[i] > '9' {
			return 0, false
		}
		q += int(decimals[i]-'0') * weight
	}
	return q, q <= 1000
}

// grpcFormat gives the format for a request's content type: GRPC, GRPCWeb, or Negotiated if it is neither.
func grpcFormat(contentType string) Format {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch {
	case mediaType == "application/grpc", strings.HasPrefix(mediaType, "application/grpc+"):
		return GRPC
	case mediaType == "application/grpc-web", strings.HasPrefix(mediaType, "application/grpc-web+"),
		mediaType == "application/grpc-web-text", strings.HasPrefix(mediaType, "application/grpc-web-text+"):
		return GRPCWeb
	}
	return Negotiated
}
