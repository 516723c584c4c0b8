package consul

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/internal/discovery"
)

func marshal(t testing.TB, is ...instance) []byte {
	t.Helper()
	list := []any{}
	for _, i := range is {
		list = append(list, i.json())
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Whatever is wrong with an answer, what was told stands, it is told in words, and it ends.
func TestAnswersThatAreRefused(t *testing.T) {
	t.Parallel()
	good := string(marshal(t, instance{node: "n1", id: "web"}))
	say := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Consul-Index", "9")
			for i := 0; i < len(header); i += 2 {
				if header[i+1] == "" {
					w.Header().Del(header[i])
				} else {
					w.Header().Set(header[i], header[i+1])
				}
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"no index":      {say(200, good, "X-Consul-Index", ""), "no X-Consul-Index"},
		"odd index":     {say(200, good, "X-Consul-Index", "-1"), `X-Consul-Index is "-1", which is no number`},
		"no leader":     {say(200, good, "X-Consul-KnownLeader", "false"), "knows no leader"},
		"hidden":        {say(200, "[]", "X-Consul-Results-Filtered-By-ACLs", "true"), "the token may not see all of it"},
		"token":         {say(403, "Permission denied: token "+token+" lacks\r\n\x00permission"), "HTTP 403: Permission denied: token [redacted] lacks ?permission; give a token"},
		"filter":        {say(400, "Failed to create boolean expression evaluator"), "look at the filter"},
		"address":       {say(404, ""), "HTTP 404; look whether the address is that of Consul's HTTP API"},
		"too many":      {say(429, "Your IP is issuing too many concurrent connections"), "limits.http_max_conns_per_client"},
		"other host":    {say(301, "", "Location", "http://127.0.0.1:1/"), "redirects are not followed"},
		"a page":        {say(200, "<html>sign in"), "it is no list of instances"},
		"null":          {say(200, "null"), "it is no list of instances"},
		"nothing":       {say(200, ""), "it is no list of instances"},
		"half":          {say(200, good[:len(good)-1]), "the list ends early"},
		"cut":           {say(200, good, "Content-Length", "100000"), "ends early"},
		"more after":    {say(200, good+"[]"), "something comes after the list"},
		"wrong types":   {say(200, `[{"Service":{"Port":"http"}}]`), "entry 1 is not understood"},
		"no node":       {say(200, `[{"Service":{"ID":"a"}}]`), "it has no node"},
		"no ID":         {say(200, `[{"Node":{"Node":"n"}}]`), "it has no ID"},
		"null entry":    {say(200, `[null]`), "it has no node"},
		"port":          {say(200, `[{"Node":{"Node":"n"},"Service":{"ID":"a","Port":65536}}]`), "port 65536 is none"},
		"twice":         {say(200, string(marshal(t, instance{node: "n1", id: "web"}, instance{node: "n1", id: "web"}))), `"n1/web" is there twice`},
		"a long ID":     {say(200, string(marshal(t, instance{node: "n1", id: strings.Repeat("x", 9999), checks: []string{"a=b"}}))), "xxx …"},
		"gone half way": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDouble(t)
			d.put("web", 5, instance{node: "n1", id: "web"})
			b := watchIt(t, Config{Address: d.server.URL, Services: []string{"web"}, Stale: true})
			b.want("part web: n1/web ready", "whole: web")
			eventually(t, func() error { return d.hanging(1) })
			d.change(func() { d.instead = c.answer })
			b.want("alive")
			if got := b.failed("for service web: ", c.want); len(got) > 800 || strings.ContainsAny(got, "\x00\r\n") {
				t.Errorf("it is not for people: %q", got)
			}
			d.change(func() { d.instead = nil })
			b.pause().over <- time.Time{}
			b.want("alive")
		})
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for range discovery.MaxFound + 1 {
		many.WriteString(`,{"Node":{"Node":"n"},"Service":{"ID":"a"}}`)
	}
	if _, err := readHealth([]byte("["+many.String()[1:]+"]"), false); !errors.Is(err, discovery.ErrTooMuch) {
		t.Errorf("a million instances: %v", err)
	}
	all := map[string][]string{}
	for i := range MaxServices + 1 {
		all["s"+string(rune('a'+i%26))+strings.Repeat("x", i)[:min(i, 200)]+string(rune('a'+i/26%26))+strings.Repeat("y", i/200)] = []string{"t"}
	}
	body, _ := json.Marshal(all)
	_, err := readCatalogue(body, []string{"t"})
	if len(all) > MaxServices && !errors.Is(err, discovery.ErrTooMuch) {
		t.Errorf("%d services: %v", len(all), err)
	}
	s, err2 := New(Config{Address: "http://127.0.0.1", Services: []string{"web"}})
	if err2 != nil {
		t.Fatal(err2)
	}
	if !errors.Is(s.failed("web", err), discovery.ErrTooMuch) || errors.Is(s.failed("web", io.EOF), discovery.ErrTooMuch) {
		t.Error("the driver's error does not say whether it is too much")
	}
}

func TestCataloguesThatAreRefused(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:             "not understood",
		`null`:         "no list of services",
		`[]`:           "not understood",
		`{"a":["t"]`:   "not understood",
		`{"a":["t"]}x`: "not understood",
		`{"a":"t"}`:    "not understood",
		`{"..":["t"]}`: `".." is no name`,
		`{"":["t"]}`:   `"" is no name`,
	} {
		if _, err := readCatalogue([]byte(body), []string{"t"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", body, err, want)
		}
	}
	if names, err := readCatalogue([]byte(`{"..":null,"b":["T"],"a":["x","t"]}`), []string{"t"}); err != nil || strings.Join(names, " ") != "a b" {
		t.Errorf("got %v, %v", names, err)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"address of Consul: it must begin with http": func(c *Config) { c.Address = "consul:8500" },
		"it must hold no user or password":           func(c *Config) { c.Address = "http://a:" + token + "@b" },
		"it must not have a part after ?":            func(c *Config) { c.Address = "http://b?token=" + token },
		"wait: it must be from 1s to 10m0s":          func(c *Config) { c.Wait = time.Hour },
		"token of Consul: it holds":                  func(c *Config) { c.Token = token + "\r\nX: y" },
		"name services to watch, or tags":            func(c *Config) { c.Services = nil },
		"more than is taken":                         func(c *Config) { c.Services = make([]string, MaxServices+1) },
		`".." is no name of a service`:               func(c *Config) { c.Services = []string{".."} },
		`"web" is there twice`:                       func(c *Config) { c.Services = []string{"web", "web"} },
		"tags: one is empty":                         func(c *Config) { c.Tags = []string{""} },
	} {
		c := Config{Address: "http://127.0.0.1:8500", Services: []string{"web"}}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		_, err := New(c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), token) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func FuzzReadHealth(f *testing.F) {
	f.Add(marshal(f, instance{node: "n1", id: "web", tags: []string{"a"}, checks: []string{"c=warning", "_node_maintenance=critical"}}, instance{node: "n2", id: "web"}))
	f.Add([]byte(`[{"Node":{"Node":"n","Meta":{"a":"b"}},"Service":{"ID":"i","Weights":{"Passing":3},"TaggedAddresses":{"lan":{"Address":"::1","Port":1}}},"Checks":null}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := readHealth(body, false)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("an error without words")
			}
			return
		}
		if err := discovery.Arrange(found); err != nil {
			t.Error(err)
		}
		for i, f := range found {
			if bad := f.Fields["health"] == "critical" || f.Fields["health"] == "maintenance"; bad != (f.State == discovery.NotReady) {
				t.Errorf("entry %d: %s and %s", i, f.Fields["health"], f.State)
			}
		}
	})
}
