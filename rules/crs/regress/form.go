package regress

import (
	"net/url"
	"strings"
)

// encodeForm encodes the names and values of form data, unless decoding would change it, which is taken to mean that it
// is encoded.
func encodeForm(data string) string {
	if decoded, err := url.QueryUnescape(data); err != nil || decoded != data {
		return data
	}
	pairs := strings.Split(data, "&")
	for i, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		pairs[i] = url.QueryEscape(name)
		if found {
			pairs[i] += "=" + url.QueryEscape(value)
		}
	}
	return strings.TrimSuffix(strings.Join(pairs, "&"), "&")
}
