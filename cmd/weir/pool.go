package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
)

func newPool() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pool",
		GroupID: groupLook,
		Short:   "Show who is or would be in a pool; try its check",
		Long: `Show who is in a pool, or would be in one that is not there yet, and why other servers of the role are not; try its
health check before it is saved; and show the pools that a server is in.`,
		Example: `  weir pool preview web-az1
  weir pool preview -f pool.yaml
  weir pool try -f pool.yaml
  weir pool of web-az1-017`,
	}
	cmd.AddCommand(newPoolPreview(), newPoolTry(), newPoolOf())
	return cmd
}

// previewFlags are those of weir pool preview.
type previewFlags struct {
	file             string
	role, zone, port string
	clusters         []string
	others           int
	output           *string
}

func newPoolPreview() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "preview [NAME]",
		Short: "Show who is in a pool or would be, and why others are not",
		Long: `Show who is in a pool, of the Servers of the role that it selects by, and why the others are not: another zone or
cluster, no port of that name, a static member of the same name, not shared with the pool's role, or a registration that
is withdrawn, silent or not there where the pool asks for one. The pool is one that is there, one in a manifest, or one
that selects as the flags say. Nothing is changed.

Health checks and Overrides come after that: weir describe pool shows what is so.`,
		Example: `  weir pool preview web-az1
  weir pool preview -f pool.yaml
  weir pool preview --role web --zone az1 --cluster blue --port http
  weir pool preview --role web --port 8080 -o json | jq -r '.servers[] | select(.in) | .name'`,
		Args:              rangeArgs(0, 1, ""),
		ValidArgsFunction: completeNames("Pool"),
	}
	f := new(previewFlags)
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "filename", "f", "", "a manifest of one Pool, or - for standard input")
	_ = cmd.MarkFlagFilename("filename", "yaml", "yml", "json")
	flags.StringVar(&f.role, "role", "", "select servers of this role")
	flags.StringVar(&f.zone, "zone", "", "with --role: select servers of this zone")
	flags.StringArrayVar(&f.clusters, "cluster", nil, "with --role: select servers of this cluster, or of one of several")
	flags.StringVar(&f.port, "port", "", "with --role, which needs it: their port, a number or the name of one")
	flags.IntVar(&f.others, "others", 100, "the most servers to show that are not in")
	_ = cmd.RegisterFlagCompletionFunc("role", completeNames("Role"))
	_ = cmd.RegisterFlagCompletionFunc("zone", completeNames("Zone"))
	f.output = addOutputFlag(cmd, "table", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		what, file, err := f.call(cmd, args)
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := c.do(cmd.Context(), what, &raw); err != nil {
			if file != nil {
				err = file.located(err)
			}
			return err
		}
		if *f.output != "table" {
			return printValue(cmd.OutOrStdout(), *f.output, raw)
		}
		preview := new(api.PoolPreview)
		if err := json.Unmarshal(raw, preview); err != nil {
			return fmt.Errorf("read the preview: %w", err)
		}
		printPreview(stdout(cmd), preview)
		return nil
	}
	return cmd
}

// call gives the request for what the command line means.
func (f *previewFlags) call(cmd *cobra.Command, args []string) (call, *manifest, error) {
	ways := len(args)
	for _, given := range []bool{f.file != "", f.role != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return call{}, nil, usagef("say which pool: NAME, -f FILE, or --role ROLE --port PORT")
	case f.role == "" && (f.zone != "" || f.port != "" || len(f.clusters) > 0):
		return call{}, nil, usagef("--zone, --cluster and --port belong to --role")
	case f.role != "" && f.port == "":
		return call{}, nil, usagef("say with --port where the servers are reached: a number, or the name of one of their ports")
	case f.others < 0:
		return call{}, nil, usagef("--others must be a number of servers, not %d", f.others)
	}
	query := url.Values{"others": {fmt.Sprint(f.others)}}
	if len(args) == 1 {
		name, err := nameOf("Pool", args[0])
		return call{method: http.MethodGet, path: "pools/" + url.PathEscape(name) + "/preview", query: query}, nil, err
	}
	var pool any
	var file *manifest
	if f.role != "" {
		selector := map[string]any{"role": f.role}
		if f.zone != "" {
			selector["zone"] = f.zone
		}
		if len(f.clusters) > 0 {
			selector["clusters"] = f.clusters
		}
		pool = map[string]any{"kind": "Pool", "metadata": map[string]string{"name": "preview", "role": f.role}, "spec": map[string]any{"selector": selector, "port": f.port}}
	} else {
		var err error
		if file, err = readManifest(cmd, []string{f.file}); err != nil {
			return call{}, nil, err
		}
		pools := slices.DeleteFunc(slices.Clone(file.objects), func(o *weir.Object) bool { return o.Kind != "Pool" })
		if len(pools) != 1 {
			return call{}, nil, fmt.Errorf("%s: holds %s; a preview is of one", f.file, count(len(pools), "Pool", "Pools"))
		}
		pool = pools[0]
	}
	body, err := json.Marshal(pool)
	return call{method: http.MethodPost, path: "pools/preview", query: query, body: body}, file, err
}

func printPreview(s *screen, p *api.PoolPreview) {
	t := &table{columns: []column{{title: "SERVER", shrinks: true}, {title: "IN"}, {title: "ADDRESS"}, {title: "ZONE", optional: true}, {title: "CLUSTERS", shrinks: true, optional: true}, {title: "WHY", folds: true}}}
	for _, one := range p.Servers {
		is := cell{"yes", good}
		switch {
		case !one.In:
			is = cell{"no", faint}
		case one.State != string(weir.StandingIn):
			is = cell{one.State, warning}
		}
		why := one.Reason
		if one.Member {
			why = "static member; " + why
		}
		if len(one.Overrides) > 0 {
			why += "; moved by Override " + strings.Join(one.Overrides, ", ")
		}
		t.add([]cell{{text: one.Name}, is, {text: one.Address}, {text: one.Zone}, {text: strings.Join(one.Clusters, ",")}, {text: why}})
	}
	t.print(s)
	if p.Omitted > 0 {
		s.printf("%s\n", s.faint(fmt.Sprintf("… and %s more that are not in; --others shows more", thousands(p.Omitted))))
	}
	if p.Hidden > 0 {
		s.printf("%s\n", s.faint(count(p.Hidden, "server", "servers")+" this token may not see"))
	}
	s.printf("%s %s\n", s.strong(clean(p.Pool)+":"), previewSummary(p))
}

func previewSummary(p *api.PoolPreview) string {
	out := 0
	var parts []string
	for _, state := range sortedNames(p.Out) {
		out += p.Out[state]
		parts = append(parts, fmt.Sprintf("%s %s", thousands(p.Out[state]), outWords[state]))
	}
	text := count(p.In, "server is in", "servers are in")
	if out > 0 {
		text += ", " + thousands(out) + " of the role not: " + strings.Join(parts, ", ")
	}
	return text + "."
}

// outWords say why servers are not in, by api.PoolSeat's State.
var outWords = map[string]string{
	"zone": "in another zone", "cluster": "in another cluster", "shared": "not shared", "role": "of another role",
	"port": "without the port", "member": "named like a static member",
	"waiting": "not registered", "stale": "fallen silent", "withdrawn": "withdrawn",
}

func newPoolOf() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "of SERVER",
		Short: "Show the pools that a server is in",
		Long: `Show the pools that select a server, where each reaches it, and whether it may take traffic there; for configuration
management, with -o json.`,
		Example: `  weir pool of web-az1-017
  weir pool of web-az1-017 -o json | jq -r '.pools[] | select(.in) | .pool'`,
		Args:              exactArgs(1, "say which server"),
		ValidArgsFunction: completeNames("Server"),
	}
	output := addOutputFlag(cmd, "table", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := nameOf("Server", args[0])
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		pools := new(api.ServerPools)
		if err := c.get(cmd.Context(), "servers/"+url.PathEscape(name)+"/pools", nil, pools); err != nil {
			return err
		}
		if *output != "table" {
			return printValue(cmd.OutOrStdout(), *output, pools)
		}
		if len(pools.Pools) == 0 {
			noted(cmd.ErrOrStderr(), "No pool selects Server/%s.", name)
		}
		poolsTable(pools).print(stdout(cmd))
		return nil
	}
	return cmd
}

func poolsTable(pools *api.ServerPools) *table {
	t := &table{columns: []column{{title: "POOL"}, {title: "ROLE", optional: true}, {title: "IN"}, {title: "ADDRESS"}, {title: "ADMISSION", optional: true}, {title: "WHY", folds: true}}}
	for _, p := range pools.Pools {
		is := cell{"yes", good}
		switch {
		case !p.In:
			is = cell{"no", warning}
		case p.State != string(weir.StandingIn):
			is = cell{p.State, warning}
		}
		t.add([]cell{{text: p.Pool}, {text: p.Role}, is, {text: p.Address}, {text: p.Admission}, {text: p.Reason}})
	}
	return t
}
