package logic_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/logic"
	"weir/internal/weirtest"
)

// checked is a text as HAProxy reads it, in a frontend and in the defaults of a backend.
func checked(t *testing.T, h weirtest.HAProxy, lines []string) error {
	t.Helper()
	dir := weirtest.TempDir(t)
	config := filepath.Join(dir, "haproxy.cfg")
	text := "    " + strings.Join(lines, "\n    ") + "\n"
	guard := "    acl g var(txn.g) -m str a\n    acl h var(txn.g) -m str b\n"
	all := "defaults c\n    mode http\n    timeout client 1s\n    timeout tarpit 1s\ndefaults p\n    mode http\n    timeout server 1s\n    timeout connect 1s\n" + guard + text +
		"frontend f from c\n    bind unix@" + dir + "/f.sock\n" + guard + text + "    use_backend %[var(txn.route)]\nbackend b from p\n    server s 127.0.0.1:9\n"
	if err := os.WriteFile(config, []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	return h.Check(config)
}

func context() logic.Context {
	return logic.Context{
		ACLs: "l.x", Variables: "l.y", Guard: "g", Answers: "!h",
		Route: func(backend string) string { return "var(txn.site),concat(/" + backend + ")" },
		List:  func(names []string) string { return "src -m found" },
		Map: func(name string, otherwise *string) string {
			if otherwise != nil {
				return "map_str(opt@maps/logic-" + name + ".map," + logic.Argument(*otherwise) + ")"
			}
			return "map_str(opt@maps/logic-" + name + ".map)"
		},
	}
}

// TestEveryWordIsHAProxys shows that each action, fetch, converter and way of matching on the list is one that HAProxy
// takes without a warning, where the list says, with the guards that it gets.
func TestEveryWordIsHAProxys(t *testing.T) {
	t.Parallel()
	weirtest.Each(t, func(t *testing.T, h weirtest.HAProxy) {
		var lines []string
		for i, text := range logic.EverySnippet() {
			p, problems := logic.Parse(text, nil, logic.Objects{}, nil)
			if len(problems) > 0 {
				t.Errorf("%s: %v", text, problems)
				continue
			}
			c := context()
			c.ACLs = fmt.Sprintf("l.x.%d", i)
			for _, l := range p.Print(c) {
				lines = append(lines, l.Text)
			}
		}
		if len(lines) < 500 {
			t.Errorf("only %d lines", len(lines))
		}
		if err := checked(t, h, lines); err != nil {
			t.Error(err)
		}
		if err := checked(t, h, append(lines, "http-request set-header X %[nothing]")); err == nil {
			t.Error("HAProxy takes whatever it gets")
		}
	})
}
