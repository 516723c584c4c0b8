package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir"
)

func newToken() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		GroupID: groupAccess,
		Short:   "Make, list and delete the tokens of people, agents and servers",
		Long: `Make, list and delete tokens. The text of a new token is printed to standard output, alone and this once; only
its hash is kept. What a token may do are the grants of its subject.`,
		Example: `  weir token create ann > ann.token
  weir token join --group edge --zone az1 > join.token
  weir token registration --role web --names 'web-*' > register.token
  weir token list
  weir token delete ann-k3x9`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreate(), newTokenJoin(), newTokenRegistration(), newTokenServer(), newTokenList(), newTokenDelete())
	return cmd
}

func newTokenCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create SUBJECT",
		Short: "Make a token for a person or a program",
		Example: `  weir token create ann > ann.token
  weir token create ci-web --expires 365d --reason "pipeline of the web team"`,
		Args: exactArgs(1, "say who acts with the token, such as ann or ci-web"),
	}
	expires := cmd.Flags().String("expires", "90d", "how long it is valid, at most 366d")
	name := cmd.Flags().String("name", "", "name of the Token object; made of the subject when left out")
	reason := addReasonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		life, err := parseSpan(*expires)
		if err != nil {
			return usagef("--expires: %w", err)
		}
		return makeToken(cmd, cmp.Or(*name, freshName(args[0])), &weir.Token{Subject: args[0]}, life, *reason)
	}
	return cmd
}

func newTokenJoin() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "join --group GROUP --zone ZONE",
		Short: "Make a join token: one agent enrols one load balancer with it",
		Long: `Make a join token. It enrols one load balancer in the group and zone named, once, within an hour, and carries
the hash of the control plane's CA, so that the agent needs nothing else to know whom to trust.`,
		Example: `  weir token join --group edge --zone az1 > join.token
  weir token join --group edge --zone az1 --name lb-az1-1 --replace > join.token
  weir token join --group edge --zone az1 --local-range 203.0.113.0/28=127.11.1.0/28 --local-port 443=8443`,
		Args: noArgs,
	}
	join := new(weir.JoinTerms)
	flags := cmd.Flags()
	flags.StringVar(&join.Group, "group", "", "the load-balancer group to join")
	flags.StringVar(&join.Zone, "zone", "", "the zone that the machine is in")
	flags.StringVar(&join.LoadBalancer, "name", "", "the only name that may be enrolled; the agent's choice when left out")
	flags.BoolVar(&join.Replace, "replace", false, "the name may exist already: its old agent is shut out")
	ranges := flags.StringArray("local-range", nil, "a range of the group and the addresses that this machine binds for it, as 203.0.113.0/28=127.11.1.0/28")
	ports := flags.StringArray("local-port", nil, "a port and the one that this machine binds for it, as 443=8443")
	reason := addReasonFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("group", completeNames("LoadBalancerGroup"))
	_ = cmd.RegisterFlagCompletionFunc("zone", completeNames("Zone"))
	_ = cmd.RegisterFlagCompletionFunc("name", completeNames("LoadBalancer"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if join.Group == "" || join.Zone == "" {
			return usagef("--group and --zone are required")
		}
		if err := localTerms(join, *ranges, *ports); err != nil {
			return err
		}
		subject := "agent"
		if join.LoadBalancer != "" {
			subject = "agent:" + join.LoadBalancer
		}
		return makeToken(cmd, freshName("join-"+join.Group), &weir.Token{Subject: subject, Join: join}, 0, *reason)
	}
	return cmd
}

// localTerms reads the translations of addresses and ports.
func localTerms(join *weir.JoinTerms, ranges, ports []string) error {
	for _, text := range ranges {
		from, to, _ := strings.Cut(text, "=")
		a, errA := netip.ParsePrefix(from)
		b, errB := netip.ParsePrefix(to)
		if errA != nil || errB != nil {
			return usagef("--local-range %q must be as 203.0.113.0/28=127.11.1.0/28", text)
		}
		if join.LocalRanges == nil {
			join.LocalRanges = map[netip.Prefix]netip.Prefix{}
		}
		join.LocalRanges[a] = b
	}
	for _, text := range ports {
		var a, b weir.Port
		from, to, _ := strings.Cut(text, "=")
		if a.UnmarshalText([]byte(from)) != nil || b.UnmarshalText([]byte(to)) != nil {
			return usagef("--local-port %q must be as 443=8443", text)
		}
		if join.LocalPorts == nil {
			join.LocalPorts = map[weir.Port]weir.Port{}
		}
		join.LocalPorts[a] = b
	}
	return nil
}

// makeToken has the control plane make a token; a life of 0 leaves the expiry to it.
func makeToken(cmd *cobra.Command, name string, token *weir.Token, life time.Duration, reason string) error {
	c, err := connect(cmd)
	if err != nil {
		return err
	}
	if life > 0 {
		token.ExpiresAt = c.now().UTC().Add(life).Truncate(time.Second)
	}
	body, err := json.Marshal(&weir.Object{Kind: "Token", Metadata: weir.Metadata{Name: name}, Spec: token})
	if err != nil {
		return fmt.Errorf("write Token/%s: %w", name, err)
	}
	query := url.Values{}
	if reason != "" {
		query.Set("reason", reason)
	}
	var answer struct {
		Token  string  `json:"token"`
		Object *object `json:"object"`
	}
	if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "tokens", query: query, body: body}, &answer); err != nil {
		return noneMade(err)
	}
	made := answer.Object.Spec.(*weir.Token)
	switch {
	case made.Server != nil:
		noted(cmd.ErrOrStderr(), "Token for one server, valid until %s, once. Give it to the machine, as a file that only its user can read (chmod 600):\n  weir server --data-dir DIR --sealing-key-file FILE --store-peer https://HOST:2380 --store-join %s --store-join-token-file FILE", clock(made.ExpiresAt), c.base)
	case made.Join != nil:
		bound := ""
		if made.Join.LoadBalancer != "" {
			bound = " --name " + made.Join.LoadBalancer
		}
		noted(cmd.ErrOrStderr(), "Join token for group %s in zone %s, valid until %s, once. Give it to the machine:\n  weir agent --dir DIR --server %s --join-file FILE%s", made.Join.Group, made.Join.Zone, clock(made.ExpiresAt), c.base, bound)
	case made.Registration != nil:
		noted(cmd.ErrOrStderr(), "Token/%s for servers of role %s, valid until %s. It is shown only now; give it to weir register on them, as a file that only its user can read (chmod 600). weir token delete %s ends what they have registered.", name, made.Registration.Role, clock(made.ExpiresAt), name)
	default:
		noted(cmd.ErrOrStderr(), "Token/%s for %s, valid until %s. It is shown only now; weir token delete %s ends it.", name, clean(made.Subject), clock(made.ExpiresAt), name)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), answer.Token)
	return err
}

// noneMade says of a refused token that there is none.
func noneMade(err error) error {
	var r *refusal
	if errors.As(err, &r) && r.Status < http.StatusInternalServerError && r.Status != http.StatusUnauthorized {
		r.Detail += "; no token was made"
	}
	return err
}
