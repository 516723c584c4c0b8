package weir_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layer is one row of the table: what a package may import. Tests of a package may import
// more; only what ends up in the program is looked at.
type layer struct {
	pkg     string   // path inside the module, "weir" for the root
	pure    bool     // no system, no network, no clock, no chance: values in, values out
	own     []string // packages of ours that it may import
	foreign []string // modules of others, or parts of them, that it may import
	coming  bool     // decided, but not written yet: the row may be there before the package
}

// layers is the whole architecture: every package has a row, sorted by name, and every row
// a package. A new arrow is a decision; it goes in here first.
var layers = []layer{
	{
		pkg:     "cmd/weir",
		coming:  true,
		own:     []string{"weir", "internal/agent", "internal/api", "internal/explain", "internal/hapctl", "internal/haproxy", "internal/ir", "internal/link", "internal/plan", "internal/register", "internal/secrets", "internal/server", "internal/systemd"},
		foreign: []string{"charm.land/lipgloss/v2", "github.com/spf13/cobra", "github.com/spf13/pflag", "go.yaml.in/yaml/v3", "golang.org/x/term"},
	},
	{
		pkg:     "internal/accesslog",
		coming:  true,
		own:     []string{"weir"},
		foreign: []string{"github.com/prometheus/client_golang", "golang.org/x/sys"},
	},
	{pkg: "internal/acme", foreign: []string{"github.com/mholt/acmez", "golang.org/x/net/publicsuffix"}},
	{
		pkg:     "internal/agent",
		coming:  true,
		own:     []string{"weir", "internal/accesslog", "internal/drift", "internal/hapctl", "internal/haproxy", "internal/ir", "internal/link", "internal/plan", "internal/secrets", "internal/systemd", "internal/tally", "internal/tickets"},
		foreign: []string{"github.com/prometheus/client_golang", "golang.org/x/sys"},
	},
	{
		pkg:     "internal/api",
		own:     []string{"weir", "internal/compile", "internal/explain", "internal/haproxy", "internal/inventory", "internal/ir", "internal/plan", "internal/registrar", "internal/secrets", "internal/signin", "internal/store"},
		foreign: []string{"github.com/danielgtaylor/huma/v2", "github.com/prometheus/client_golang"},
	},
	{pkg: "internal/certs", own: []string{"weir", "internal/acme", "internal/dns01", "internal/secrets", "internal/store"}},
	{pkg: "internal/compile", coming: true, pure: true, own: []string{"weir", "internal/ir"}, foreign: []string{"golang.org/x/net/idna"}},
	{pkg: "internal/console"},
	{pkg: "internal/discovery", own: []string{"weir"}},
	{pkg: "internal/discovery/consul", own: []string{"internal/discovery", "internal/discovery/httpget"}},
	{pkg: "internal/discovery/dns", own: []string{"internal/discovery"}, foreign: []string{"github.com/miekg/dns"}},
	{pkg: "internal/discovery/filesd", own: []string{"internal/discovery", "internal/discovery/httpget"}, foreign: []string{"go.yaml.in/yaml/v3"}},
	{pkg: "internal/discovery/httpget", own: []string{"internal/discovery"}},
	{pkg: "internal/discovery/kubernetes", own: []string{"internal/discovery", "internal/discovery/httpget"}},
	{pkg: "internal/discovery/zookeeper", own: []string{"internal/discovery"}},
	{pkg: "internal/dns01", own: []string{"weir"}, foreign: []string{"github.com/miekg/dns", "golang.org/x/sys"}},
	{pkg: "internal/drift", pure: true, own: []string{"internal/haproxy"}},
	{pkg: "internal/explain", pure: true, own: []string{"weir", "internal/ir"}},
	{
		pkg:     "internal/hapctl",
		coming:  true,
		own:     []string{"weir", "internal/haproxy", "internal/plan"},
		foreign: []string{"golang.org/x/sys"},
	},
	{pkg: "internal/haproxy", pure: true, own: []string{"weir", "internal/ir", "internal/logic"}},
	{pkg: "internal/inventory", pure: true, own: []string{"weir"}},
	{pkg: "internal/ir", pure: true, own: []string{"weir"}},
	{pkg: "internal/link", own: []string{"weir", "internal/ir", "internal/secrets"}},
	{pkg: "internal/logic", pure: true},
	{pkg: "internal/plan", coming: true, pure: true, own: []string{"weir", "internal/haproxy", "internal/ir"}},
	{pkg: "internal/register", own: []string{"weir", "internal/secrets", "internal/systemd"}},
	{pkg: "internal/registrar", own: []string{"weir", "internal/compile", "internal/discovery", "internal/secrets", "internal/store"}},
	{pkg: "internal/secrets", coming: true, own: []string{"weir"}},
	{pkg: "internal/series", pure: true},
	{
		pkg:     "internal/server",
		coming:  true,
		own:     []string{"weir", "internal/accesslog", "internal/api", "internal/certs", "internal/compile", "internal/console", "internal/discovery", "internal/dns01", "internal/haproxy", "internal/ir", "internal/link", "internal/plan", "internal/registrar", "internal/secrets", "internal/series", "internal/signin", "internal/sources", "internal/store", "internal/tally", "internal/tickets", "internal/wave"},
		foreign: []string{"github.com/danielgtaylor/huma/v2", "github.com/prometheus/client_golang"},
	},
	{pkg: "internal/signin", own: []string{"weir", "internal/secrets", "internal/store"}, foreign: []string{"github.com/coreos/go-oidc", "golang.org/x/oauth2"}},
	{pkg: "internal/sources", own: []string{"weir", "internal/discovery", "internal/discovery/consul", "internal/discovery/dns", "internal/discovery/filesd", "internal/discovery/httpget", "internal/discovery/kubernetes", "internal/discovery/zookeeper", "internal/secrets", "internal/store"}},
	{pkg: "internal/store", own: []string{"weir", "internal/secrets"}, foreign: []string{"filippo.io/age", "go.etcd.io/etcd", "go.uber.org/zap"}},
	{pkg: "internal/systemd", foreign: []string{"golang.org/x/sys"}},
	{pkg: "internal/tally", pure: true, own: []string{"internal/haproxy"}},
	{pkg: "internal/tickets", pure: true},
	{pkg: "internal/wave", pure: true},
	{pkg: "internal/weirtest", own: []string{"weir"}, foreign: []string{"github.com/letsencrypt/pebble", "github.com/miekg/dns"}},
	{pkg: "weir", pure: true, own: []string{"internal/logic"}, foreign: []string{"github.com/tidwall/btree", "go.yaml.in/yaml/v3", "golang.org/x/net/idna"}},
}

// maxDepth bounds the longest chain of imports among the packages below internal/. The root
// is the ground that all stand on, and cmd/weir joins everything; neither is counted.
const maxDepth = 4

// apart lists what must never reach a package, through whatever chain of imports.
var apart = []struct{ pkg, never, why string }{
	{"internal/agent", "go.etcd.io/", "an agent must start, serve and be small without a store"},
	{"internal/agent", "weir/internal/server", "an agent serves with the control plane gone"},
	{"internal/console", "weir/internal/", "the console talks to the API only"},
	{"internal/register", "go.etcd.io/", "it runs beside every service, and must be small"},
	{"internal/server", "weir/internal/agent", "the control plane drives no HAProxy itself"},
	{"internal/server", "weir/internal/hapctl", "the control plane drives no HAProxy itself"},
}

func TestLayers(t *testing.T) {
	t.Parallel()
	packages, err := readPackages(".")
	if err != nil {
		t.Fatalf("read the packages: %v", err)
	}
	for _, p := range checkLayers(layers, packages) {
		t.Error(p)
	}
}

func TestTheLayerTableIsSorted(t *testing.T) {
	t.Parallel()
	if !slices.IsSortedFunc(layers, func(a, b layer) int { return strings.Compare(a.pkg, b.pkg) }) {
		t.Error("sort the rows of layers by package")
	}
}

func TestPackagesKeptApart(t *testing.T) {
	t.Parallel()
	for _, a := range apart {
		if _, err := os.Stat(a.pkg); errors.Is(err, fs.ErrNotExist) && comes(a.pkg) {
			continue
		}
		out, err := exec.Command("go", "list", "-deps", "./"+a.pkg).CombinedOutput()
		if err != nil {
			t.Errorf("go list %s: %v: %s", a.pkg, err, out)
		}
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			if strings.HasPrefix(dep, a.never) && dep != "weir/"+a.pkg {
				t.Errorf("%s reaches %s: %s", a.pkg, dep, a.why)
			}
		}
	}
}

func comes(pkg string) bool {
	return slices.ContainsFunc(layers, func(r layer) bool { return r.pkg == pkg && r.coming })
}
