package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/api"
	"weir/internal/secrets"
	"weir/internal/server"
)

func newSealingKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sealing-key",
		Short: "Show and change the key that seals secrets",
		Long: `Show and change the key that seals secrets in the store.

The key never travels through the API or the store: it is changed in the key file of each server, on its machine.
First a new key is put into the file of one server (rotate), and the file is given to the other servers. Once all that
run have the new key first in their files, which they notice within seconds, it seals, and what older keys have sealed
is sealed anew in the background. When status says that all is, the old key is dropped from each file (retire).

Keys are named by ids, which tell nothing of them. References and fingerprints in objects stay as they are: no plan
becomes longer, and nothing is sent to a load balancer.`,
		Example: `  weir server sealing-key rotate --data-dir /var/lib/weir
  weir server sealing-key status --wait --data-dir /var/lib/weir
  weir server sealing-key retire --data-dir /var/lib/weir --keep sealing-old.key`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSealingKeyStatus(), newSealingKeyRotate(), newSealingKeyRetire())
	return cmd
}

// keyFileFlags name a server's key file.
type keyFileFlags struct{ dir, file string }

func (k *keyFileFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.dir, "data-dir", "", "the server's data folder, when the key is in that")
	cmd.Flags().StringVar(&k.file, "sealing-key-file", "", "the server's key file, when it is elsewhere")
}

func (k *keyFileFlags) path() (string, error) {
	switch {
	case (k.dir == "") == (k.file == ""):
		return "", usageError{errors.New("say where the server's key is: --data-dir or --sealing-key-file")}
	case k.file != "":
		return k.file, nil
	}
	return filepath.Join(k.dir, server.KeyFile), nil
}

// first gives the id of the file's first key.
func (k *keyFileFlags) first() (string, error) {
	path, err := k.path()
	if err != nil {
		return "", err
	}
	ring, err := secrets.OpenKeyring(path)
	if err != nil {
		return "", err
	}
	return ring.CurrentID(), nil
}

func newSealingKeyRotate() *cobra.Command {
	var at keyFileFlags
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Put a new key before those in this machine's key file",
		Long: `Put a new key before those in the key file of the server on this machine. The server notices within seconds; it seals
with the new key once all servers that run have it first in their files. So give the file to each other server next,
in a way that keeps it secret (0600), and see weir server sealing-key status.

A server whose keys come from WEIR_SEALING_KEY takes a new one there, before the old with a comma between them, and a
restart.`,
		Example: `  weir server sealing-key rotate --data-dir /var/lib/weir
  weir server sealing-key rotate --sealing-key-file /etc/weir/sealing.key`,
		Args: noArgs,
	}
	at.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := at.path()
		if err != nil {
			return err
		}
		ring, err := secrets.RotateKeyring(path)
		if err != nil {
			return err
		}
		s := stdout(cmd)
		ids := ring.IDs()
		s.printf("%s %s is the first key in %s; before it was %s\n", s.good("✓"), ids[0], path, ids[1])
		s.line("  other servers of the store: give each this file, 0600; until all have it, nothing changes")
		s.line("  keep a copy of the file, apart from the backups: those made from now on need the new key")
		s.line("  see how far it is: weir server sealing-key status")
		return nil
	}
	return cmd
}

func newSealingKeyStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which key seals, and how far a change of it is",
		Long: `Show which key seals, which servers still have another one first in their files, and how many secrets are sealed
anew. With --wait it waits until nothing is left to do but to retire older keys, and exits with 1 when the time is over
before. With this machine's key file it also waits until the first key in that seals.`,
		Example: `  weir server sealing-key status
  weir server sealing-key status --wait --data-dir /var/lib/weir --timeout 10m`,
		Args: noArgs,
	}
	var at keyFileFlags
	at.add(cmd)
	wait := cmd.Flags().Bool("wait", false, "wait until all is sealed with the first key of all servers")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		first := ""
		if at != (keyFileFlags{}) {
			if first, err = at.first(); err != nil {
				return err
			}
		}
		status, err := c.sealing(cmd, *wait, first)
		if err != nil {
			return err
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, status.Sealing)
		}
		s := stdout(cmd)
		for _, line := range sealingLines(s, status) {
			s.line(line)
		}
		if *wait && !sealedAnew(status, first) {
			return statusError(exitRefused)
		}
		return nil
	}
	return cmd
}

// sealing reads how the sealing key stands; when waiting, the last one read once the time is over.
func (c *client) sealing(cmd *cobra.Command, wait bool, first string) (*api.StoreStatus, error) {
	until := time.Now().Add(timeoutOf(cmd, convergeWithin))
	c.timeout = min(c.timeout, answerWithin)
	for {
		status := new(api.StoreStatus)
		if err := c.get(cmd.Context(), "store", nil, status); err != nil {
			return nil, err
		}
		if status.Sealing == nil && !wait {
			return nil, errors.New("the control plane does not tell which key seals: has the store a majority, and the server this version?")
		}
		if !wait || sealedAnew(status, first) || time.Now().After(until) {
			return status, nil
		}
		select {
		case <-time.After(caPause):
		case <-cmd.Context().Done():
			return nil, cmd.Context().Err()
		}
	}
}

// sealedAnew says that all is sealed with the key that all servers have first, which is a certain one unless that is
// empty.
func sealedAnew(status *api.StoreStatus, first string) bool {
	return status.Sealing != nil && (first == "" || status.Sealing.Key == first) && len(status.Sealing.Older) == 0 && len(otherFirst(status)) == 0
}

// otherFirst names the servers that have another key first than the one that seals, with that.
func otherFirst(status *api.StoreStatus) (list []string) {
	for _, one := range status.Servers {
		if first := firstKey(one); first != status.Sealing.Key {
			list = append(list, one.Name+" has "+first)
		}
	}
	return list
}

func firstKey(one api.ServerStatus) string {
	if len(one.SealingKeys) == 0 {
		return "none that it tells of"
	}
	return one.SealingKeys[0]
}

// sealingLines says how the sealing key stands.
func sealingLines(s *screen, status *api.StoreStatus) (lines []string) {
	now := status.Sealing
	if now == nil {
		return []string{s.warning("Which key seals is not known.")}
	}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add("%s seals since %s", now.Key, clock(now.Since))
	if others := otherFirst(status); len(others) > 0 {
		add("%s", s.warning("  a change waits until all servers have the same key first: "+clean(some(others, 5))))
	}
	switch {
	case now.Stuck != "":
		add("%s", s.bad("  can't be sealed anew: "+clean(now.Stuck)))
	case len(now.Older) > 0 && now.Total == 0:
		add("%s", s.warning("  what "+strings.Join(now.Older, " and ")+" sealed is about to be sealed anew"))
	case len(now.Older) > 0:
		add("%s", s.warning(fmt.Sprintf("  sealed anew: %d of about %d; until all are, keep %s", min(now.Done, now.Total), now.Total, strings.Join(now.Older, " and "))))
	default:
		add("  everything is sealed with it, since %s", clock(now.Finished))
		if left := spareKeys(status); len(left) > 0 {
			add("  servers need no longer: %s; weir server sealing-key retire drops it", strings.Join(left, ", "))
		}
	}
	return lines
}

// sealingNews says in a line how far a change of the sealing key is; nothing when none is under way.
func sealingNews(s *screen, status *api.StoreStatus) []string {
	now := status.Sealing
	switch {
	case now == nil:
	case now.Stuck != "":
		return []string{s.bad("a secret can't be sealed anew: weir server sealing-key status")}
	case len(now.Older) > 0:
		return []string{s.warning(fmt.Sprintf("sealing anew: %d of about %d secrets", min(now.Done, now.Total), now.Total))}
	case len(otherFirst(status)) > 0:
		return []string{s.warning("a change of the sealing key waits: weir server sealing-key status")}
	}
	return nil
}

// spareKeys are the keys in servers' files that open nothing in the store any more.
func spareKeys(status *api.StoreStatus) (ids []string) {
	if !sealedAnew(status, "") {
		return nil
	}
	for _, one := range status.Servers {
		for _, id := range one.SealingKeys {
			if id != status.Sealing.Key && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

func newSealingKeyRetire() *cobra.Command {
	var at keyFileFlags
	var keep string
	var destroy bool
	cmd := &cobra.Command{
		Use:   "retire",
		Short: "Drop keys that nothing in the store needs any more",
		Long: `Drop all keys but the one that seals from the key file of the server on this machine. It is refused until the control
plane says that everything in the store is sealed with that key.

Backups made before then still need the old keys: --keep puts those into a new file, to be kept apart from the backups
for as long as those are. --destroy keeps nothing: such backups can then never be restored.`,
		Example: `  weir server sealing-key retire --data-dir /var/lib/weir --keep sealing-old.key
  weir server sealing-key retire --sealing-key-file /etc/weir/sealing.key --destroy`,
		Args: noArgs,
	}
	at.add(cmd)
	cmd.Flags().StringVar(&keep, "keep", "", "new file for the keys that are dropped, which older backups need")
	cmd.Flags().BoolVar(&destroy, "destroy", false, "keep the dropped keys nowhere: older backups are lost")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := at.path()
		if err != nil {
			return err
		}
		if (keep == "") != destroy {
			return usageError{errors.New("say what becomes of the old keys: --keep FILE, or --destroy")}
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		status, err := c.sealing(cmd, false, "")
		if err != nil {
			return err
		}
		if !sealedAnew(status, "") {
			s := screenOf(cmd, cmd.ErrOrStderr())
			for _, line := range sealingLines(s, status) {
				s.line(line)
			}
			return errors.New("the old keys are still needed: wait with weir server sealing-key status --wait; nothing was changed")
		}
		retired, err := secrets.RetireKeys(path, status.Sealing.Key, keep)
		if err != nil {
			return err
		}
		printRetired(stdout(cmd), path, keep, retired, status.Sealing.Finished)
		return nil
	}
	return cmd
}

func printRetired(s *screen, path, keep string, retired []string, finished time.Time) {
	if len(retired) == 0 {
		s.printf("Nothing to do: %s holds only the key that seals.\n", path)
		return
	}
	s.printf("%s %s dropped from %s\n", s.good("✓"), strings.Join(retired, ", "), path)
	if keep == "" {
		s.printf("  %s backups made before %s can't be restored any more\n", s.warning("!"), clock(finished))
		return
	}
	s.printf("  kept in %s: backups made before %s need it; keep it as long as those, and apart from them\n", keep, clock(finished))
}
