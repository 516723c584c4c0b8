package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/server"
)

// growFlags say where the members of an embedded store are.
type growFlags struct {
	server.Grow
	tokenFile string
}

func (g *growFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&g.Peer, "store-peer", "", "URL at which the members of the store on other machines reach this one's, as https://weir1.example.com:2380")
	f.StringVar(&g.Join, "store-join", "", "URL of a server whose store to join; counts while the data folder has none")
	f.StringVar(&g.tokenFile, "store-join-token-file", "", "file with the token for that, from weir token server")
}

// grow gives what the flags say; outside tells that the store is on an etcd outside.
func (g *growFlags) grow(outside bool) (server.Grow, error) {
	switch {
	case g.Peer == "" && g.Join+g.tokenFile != "":
		return server.Grow{}, usageError{errors.New("--store-peer is missing: the URL at which the other members reach this one")}
	case (g.Join == "") != (g.tokenFile == ""):
		return server.Grow{}, usageError{errors.New("--store-join and --store-join-token-file go together")}
	case g.Peer != "" && outside:
		return server.Grow{}, usageError{errors.New("--store-peer and --etcd-endpoints exclude each other: either the servers hold the store, or an etcd outside does")}
	case g.tokenFile == "":
		return g.Grow, nil
	}
	raw, err := secrets.ReadPrivateFile(g.tokenFile)
	if err != nil {
		return server.Grow{}, fmt.Errorf("read --store-join-token-file: %w", err)
	}
	g.Token = strings.TrimSpace(string(raw))
	return g.Grow, nil
}

func newTokenServer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Make a token with which one server joins the store",
		Long: `Make a token that lets one further server into the store of the control plane, once, within an hour. It carries the
hash of the control plane's CA. The server that is asked must take members: weir server --store-peer.`,
		Example: `  weir token server > server.token
  weir token server --host weir2.example.com > server.token`,
		Args: noArgs,
	}
	host := cmd.Flags().String("host", "", "the only host name or address at which the new server may be")
	reason := addReasonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return makeToken(cmd, freshName("server"), &weir.Token{Subject: "server", Server: &weir.ServerTerms{Host: *host}}, 0, *reason)
	}
	return cmd
}

func newServerList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the servers that run, and the members of their store",
		Long: `List the servers that run. When they hold the store themselves, list its members too: more than half of them must
be there for anything to be changed; load balancers serve on without.`,
		Example: `  weir server list
  weir server list -o json | jq -r '.members[] | select(.healthy | not) | .name'`,
		Args: noArgs,
	}
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		status := new(api.StoreStatus)
		if err := c.get(cmd.Context(), "store", nil, status); err != nil {
			return err
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, status)
		}
		printStore(stdout(cmd), status)
		return nil
	}
	return cmd
}

func newServerRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a member out of the store for good",
		Long: `Take a member out of the store that the servers hold, for good: its server ends, or can't start again with its
data. Do that to one that is gone before another takes its place, so that the majority is counted without it. To come
back, the machine joins anew with an empty data folder.`,
		Example: `  weir server remove weir2.example.com --reason "disk died"`,
		Args:    exactArgs(1, "say which member, by its name in weir server list"),
	}
	reason := addReasonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		query := url.Values{}
		if *reason != "" {
			query.Set("reason", *reason)
		}
		status := new(api.StoreStatus)
		if err := c.do(cmd.Context(), call{method: http.MethodDelete, path: "store/members/" + url.PathEscape(args[0]), query: query}, status); err != nil {
			return unchanged(err)
		}
		printStore(stdout(cmd), status)
		return nil
	}
	return cmd
}

func printStore(s *screen, status *api.StoreStatus) {
	t := &table{columns: []column{{title: "SERVER"}, {title: "URL"}, {title: "VERSION"}, {title: "SINCE"}}}
	for _, one := range status.Servers {
		t.rows = append(t.rows, words(one.Name, one.URL, one.Version, clock(one.Started)))
	}
	if len(t.rows) > 0 {
		t.print(s)
	} else {
		s.line(s.warning("Which servers run is not known while the store has no majority."))
	}
	for _, line := range sealingNews(s, status) {
		s.line(line)
	}
	if status.Outside {
		s.line("The store is on an etcd outside.")
		return
	}
	s.line("")
	t = &table{columns: []column{{title: "MEMBER"}, {title: "URL"}, {title: "HEALTH"}, {title: "PART"}}}
	for _, m := range status.Members {
		health := cell{"is there", good}
		if !m.Healthy {
			health = cell{"is away", bad}
		}
		part := "follows"
		switch {
		case m.Learner:
			part = "catches up, without a vote"
		case m.Leader:
			part = "leads"
		}
		t.rows = append(t.rows, []cell{{text: m.Name}, {text: cmp.Or(m.URL, "–")}, health, {text: part}})
	}
	t.print(s)
	s.line(quorum(s, status.Members))
}

// voting counts the members that have a vote, and those of them that are there.
func voting(members []api.MemberStatus) (voters, there int) {
	for _, m := range members {
		if m.Learner {
			continue
		}
		voters++
		if m.Healthy {
			there++
		}
	}
	return voters, there
}

// spareMembers is how many more may go before there is no majority; below zero there is none. A store outside has
// no members here, and none is missed.
func spareMembers(members []api.MemberStatus) int {
	if len(members) == 0 {
		return 0
	}
	voters, there := voting(members)
	return there - (voters/2 + 1)
}

// quorum says how many members may still go.
func quorum(s *screen, members []api.MemberStatus) string {
	voters, there := voting(members)
	spare := spareMembers(members)
	switch {
	case spare < 0:
		return s.bad(fmt.Sprintf("%d of %d members are there: nothing can be changed until more come back", there, voters))
	case spare == 0 && voters == 2:
		return s.warning("Both members are needed, which is less safe than one: let a third join.")
	case spare == 0 && voters > 1:
		return s.warning("No further member may go, or nothing can be changed.")
	case spare == 0:
		return s.faint("This one member is the store.")
	}
	return fmt.Sprintf("%s may go and changes go on.", count(spare, "member", "members"))
}

// storeLine says in one line of weir status how the servers are; nothing to who may not see them, or of a control
// plane that does not tell.
func (c *client) storeLine(cmd *cobra.Command, s *screen) string {
	ctx, cancel := context.WithTimeout(cmd.Context(), storePatience)
	defer cancel()
	status := new(api.StoreStatus)
	switch err := c.get(ctx, "store", nil, status); {
	case errors.Is(err, context.DeadlineExceeded), isStatus(err, http.StatusServiceUnavailable):
		return s.bad("The store does not answer: nothing can be changed until a majority of its members is back; load balancers serve on.")
	case err != nil:
		return ""
	}
	return storeText(s, status)
}

// storePatience is how long weir status waits for that line.
const storePatience = 6 * time.Second

func storeText(s *screen, status *api.StoreStatus) string {
	var names, away []string
	for _, one := range status.Servers {
		names = append(names, one.Name)
	}
	for _, m := range status.Members {
		if !m.Healthy {
			away = append(away, m.Name)
		}
	}
	parts := sealingNews(s, status)
	if len(names) < 2 && len(status.Members) < 2 {
		return strings.Join(parts, s.faint("; "))
	}
	if len(names) > 0 {
		parts = append(parts, s.faint(count(len(names), "server", "servers")+": "+clean(some(names, 5))))
	}
	if len(status.Members) > 1 {
		parts = append(parts, s.faint(fmt.Sprintf("store: %d/%d members", len(status.Members)-len(away), len(status.Members))))
	}
	if len(away) > 0 {
		parts = append(parts, s.bad("away: "+clean(some(away, 5))))
	}
	if spareMembers(status.Members) < 0 {
		parts = append(parts, s.bad("nothing can be changed until more come back; load balancers serve on"))
	}
	return strings.Join(parts, s.faint("; "))
}
