package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
	"weir/internal/secrets"
)

func newCA() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ca",
		GroupID: groupAccess,
		Short:   "Show and change the authority that agents and clients believe",
		Long: `Show and change the control plane's CA, by which agents, clients and servers know each other.

It lives ten years. It is changed when its key may be known to others, or before it ends, in three steps, while
everything goes on: a new CA is made and believed (weir ca rotate), it issues (--continue), and the old one is
believed no more (--finish). Between them wait until status says that everybody follows.`,
		Example: `  weir ca status
  weir ca rotate --reason "the backup tape is missing"
  weir ca status --wait
  weir ca rotate --continue
  weir ca status --wait
  weir ca rotate --finish`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCAStatus(), newCARotate(), newCAHash())
	return cmd
}

func newCAStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which CAs are believed, which issues, and who follows",
		Long: `Show which CAs are believed and which of them issues, how far a change of CA is, and how many of the active load
balancers and of the servers believe the newest CA and use a certificate of it, and how many of the servers that
register themselves believe it; those that don't are named, to people who may see everything.

With --wait it waits until everybody is far enough for the next step of a change, and exits with 1 naming those who
are not when the time is over.`,
		Example: `  weir ca status
  weir ca status --wait --timeout 10m
  weir ca status -o json | jq -r '.authorities[] | select(.issues) | .ca'`,
		Args: noArgs,
	}
	wait := cmd.Flags().Bool("wait", false, "wait until the next step can be taken")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		status, err := c.caStatus(cmd, *wait)
		if err != nil {
			return err
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, status)
		}
		printCA(stdout(cmd), status, c.now())
		if *wait && !followed(status) {
			return statusError(exitRefused)
		}
		return nil
	}
	return cmd
}

// caPause is how often a waiting command looks at the CA again.
const caPause = 500 * time.Millisecond

// caStatus reads how the CA stands; when waiting, the last one read once the time is over.
func (c *client) caStatus(cmd *cobra.Command, wait bool) (*api.CAStatus, error) {
	until := time.Now().Add(timeoutOf(cmd, convergeWithin))
	c.timeout = min(c.timeout, answerWithin)
	for {
		status := new(api.CAStatus)
		if err := c.get(cmd.Context(), "ca", nil, status); err != nil {
			return nil, err
		}
		if !wait || followed(status) || time.Now().After(until) {
			return status, nil
		}
		select {
		case <-time.After(caPause):
		case <-cmd.Context().Done():
			return nil, cmd.Context().Err()
		}
	}
}

// followed says that nobody is known to hold up the next step of a change.
func followed(s *api.CAStatus) bool {
	far := s.Know
	if s.Phase == api.CAIssuing {
		far = s.Use
	}
	for _, server := range s.Servers {
		if s.Phase == api.CAIssuing && !server.Uses || !server.Knows {
			return false
		}
	}
	if s.Phase == api.CAAnnounced && s.Registered.Know < s.Registered.Of {
		return false
	}
	return s.Phase == api.CASteady || far >= s.Of
}

func newCARotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate [--continue | --finish | --cancel]",
		Short: "Take a step of a change of CA",
		Long: `Take a step of a change of CA; any server of the store takes it, and all follow at once. A step that was taken
already changes nothing, so that after an accident the same command goes on.

  weir ca rotate    makes a new CA that everybody is told to believe
    --continue      lets the new CA issue in place of the old one; servers take
                    certificates of it at once, agents within minutes
    --finish        drops the old CA: nobody believes it any more
    --cancel        before --continue, throws the new CA away

--continue is refused, with names, while an active load balancer, a server or a registered server that is heard has
not learnt the new CA, --finish while a load balancer or server uses a certificate of the old CA. --force takes the step all the same: those named must join again.
Clients learn the new CA with any command they give meanwhile; one that gives none must log in again with the new
hash, and so must WEIR_CA in pipelines, which takes both hashes with a comma between them. Join tokens made before
--continue are of no use after it.`,
		Example: `  weir ca rotate --reason "yearly"
  weir ca rotate --continue
  weir ca rotate --finish`,
		Args: noArgs,
	}
	flags := cmd.Flags()
	steps := map[api.CAStep]*bool{
		api.CAContinue: flags.Bool("continue", false, "let the new CA issue"),
		api.CAFinish:   flags.Bool("finish", false, "believe the old CA no more"),
		api.CACancel:   flags.Bool("cancel", false, "throw the new CA away, before it issues"),
	}
	force := flags.Bool("force", false, "take the step although it shuts somebody out")
	reason := addReasonFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("continue", "finish", "cancel")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		step := api.CABegin
		for s, given := range steps {
			if *given {
				step = s
			}
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		query := url.Values{"step": {string(step)}}
		if *force {
			query.Set("force", "true")
		}
		if *reason != "" {
			query.Set("reason", *reason)
		}
		change := new(api.CAChange)
		if err := c.do(cmd.Context(), call{method: http.MethodPost, path: "ca/rotate", query: query}, change); err != nil {
			return unchanged(err)
		}
		s := stdout(cmd)
		if !change.Changed {
			s.line("Nothing to do: this step was taken already.")
		}
		for _, name := range change.ShutOut {
			mend := "an agent must join again, with weir token join … --replace"
			if name == api.AllRegistered {
				mend = "those that did not know the new CA need its hash in their files"
			}
			s.printf("%s %s: %s\n", s.warning("shut out:"), clean(name), mend)
		}
		printCA(s, &change.CAStatus, c.now())
		return nil
	}
	return cmd
}

// nextStep says what a change of CA waits for.
var nextStep = map[string]string{
	api.CASteady:    "no change of CA is under way",
	api.CAAnnounced: "a new CA is being made known; when all know it: weir ca rotate --continue",
	api.CAIssuing:   "the new CA issues; when all use it: weir ca rotate --finish",
}

func printCA(s *screen, status *api.CAStatus, now time.Time) {
	s.line(nextStep[status.Phase])
	for _, a := range status.Authorities {
		word := s.faint("is still believed")
		switch {
		case a.Issues:
			word = s.good("issues")
		case a.CA == status.Newest:
			word = s.warning("will issue")
		}
		s.printf("  %s  %s, %s, until %s\n", a.CA, clean(a.Name), word, a.NotAfter.UTC().Format(time.DateOnly))
	}
	// Until it issues nobody can use it, and who doesn't is no news.
	asked := status.Phase != api.CAAnnounced
	printFollowers(s, "load balancers", asked, status.Know, status.Use, status.Of, status.LoadBalancers, now)
	know, use := 0, 0
	for _, f := range status.Servers {
		if f.Knows {
			know++
		}
		if f.Uses {
			use++
		}
	}
	if len(status.Servers) > 0 {
		printFollowers(s, "servers", asked, know, use, len(status.Servers), status.Servers, now)
	}
	printRegistered(s, status.Registered)
}

// printRegistered counts the servers that register themselves, and names some that don't know the newest CA.
func printRegistered(s *screen, r api.CARegistered) {
	if r.Of == 0 {
		return
	}
	var unaware []api.CAFollower
	for _, name := range r.Unaware {
		unaware = append(unaware, api.CAFollower{Name: name, Reachable: true})
	}
	printFollowers(s, "registered servers", false, r.Know, 0, r.Of, unaware, time.Time{})
}

// printFollowers counts who knows and, when that is asked, who uses the newest CA, and names the others.
func printFollowers(s *screen, what string, asked bool, know, use, of int, list []api.CAFollower, now time.Time) {
	ratio := func(n int) string {
		text := fmt.Sprintf("%d/%d", n, of)
		if n < of {
			return s.warning(text)
		}
		return s.good(text)
	}
	used := ""
	if asked {
		used = fmt.Sprintf(", %s use it", ratio(use))
	}
	s.printf("%s: %s know the newest CA%s\n", what, ratio(know), used)
	for _, f := range list {
		var parts []string
		switch {
		case !f.Knows:
			parts = append(parts, "does not know it")
		case !f.Uses && asked:
			parts = append(parts, "does not use it")
		default:
			continue
		}
		if f.State != "" && f.State != "Active" {
			parts = append(parts, "is in "+string(f.State)+" and does not count")
		}
		switch {
		case f.Reachable:
		case f.LastSeen.IsZero():
			parts = append(parts, "was not heard")
		default:
			parts = append(parts, "is silent, last heard "+ago(f.LastSeen, now))
		}
		s.printf("  %s %s\n", s.strong(clean(f.Name)), strings.Join(parts, "; "))
	}
}

func newCAHash() *cobra.Command {
	return &cobra.Command{
		Use:   "hash FILE",
		Short: "Print the hashes of the CAs in a file",
		Long: `Print the hash of each CA in a file of certificates in PEM, the issuing one first. A server keeps those to
believe as ca.crt in its data folder; whoever can read that needs no control plane to find out what to pin.`,
		Example: `  weir ca hash /var/lib/weir/ca.crt`,
		Args:    exactArgs(1, "say which file, such as /var/lib/weir/ca.crt"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			trust, err := secrets.ParseTrust(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, h := range trust.Hashes() {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), h); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
