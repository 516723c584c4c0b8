package agent

import (
	"strings"
	"testing"

	"weir"
	"weir/internal/accesslog"
	"weir/internal/haproxy"
	"weir/internal/ir"
)

// TestCapturedHeadersAreLoggedAsTheyAreRead: what is rendered is the format that the log's parser knows.
func TestCapturedHeadersAreLoggedAsTheyAreRead(t *testing.T) {
	t.Parallel()
	token := accesslog.NewToken()
	for name, log := range map[string]*weir.SiteLog{
		"none": nil, "requests": {RequestHeaders: map[string]int{"X-B": 5, "X-A": 5}}, "answers": {ResponseHeaders: map[string]int{"X-C": 5}},
		"both": {RequestHeaders: map[string]int{"X-B": 5}, ResponseHeaders: map[string]int{"X-D": 5, "X-C": 5}},
	} {
		var asked, given []string
		if log != nil {
			for _, h := range []string{"x-a", "x-b"} {
				if _, ok := log.RequestHeaders[strings.ToUpper(h)]; ok {
					asked = append(asked, h)
				}
			}
			for _, h := range []string{"x-c", "x-d"} {
				if _, ok := log.ResponseHeaders[strings.ToUpper(h)]; ok {
					given = append(given, h)
				}
			}
		}
		env := haproxy.Env{Version: haproxy.Version{Major: 3, Minor: 4}, Log: haproxy.Log{Target: "log x", HTTPFormat: accesslog.HTTPFormat(token)}}
		text, _ := haproxy.Render(ir.Node{Sites: []ir.Site{{Name: "www", Mode: "http", Log: log}}}, env).Text()
		if want := "log-format '" + accesslog.HTTPFormatCaptured(token, asked, given) + "'\n"; !strings.Contains(text, want) {
			t.Errorf("%s: %s is not in\n%s", name, want, text)
		}
	}
}
