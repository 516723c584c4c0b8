package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/internal/secrets"
	"weir/internal/server"
)

// backupPatience is how long a backup may take to be made and sent.
const backupPatience = 30 * time.Minute

func newBackup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE --recipient age1…",
		Short: "Write a backup of the control plane, encrypted, into one file",
		Long: `Write a backup of the control plane into one file while it runs: all objects, their history, the secrets and the
authority, as of one moment. It is encrypted to recipients, whose private keys open it and who keep those elsewhere
(age-keygen makes a pair), and the secrets in it are sealed besides: a restore needs the sealing key, which is never
in a backup.

FILE may be a folder; the file is then named after the moment and the revision. With - it goes to standard output.
What is there already is not written over. It takes an admin.`,
		Example: `  weir backup /var/backups/weir/ --recipient age15u0gf0p7jxpc22kfr0klv84stn5unuqh56s9s8wpjjwnxekkq9hq0r46nw
  weir backup weir.age --recipients-file /etc/weir/backup-recipients
  weir backup verify weir.age --identity backup.key`,
		Args: exactArgs(1, "say where to write the backup: a file, a folder, or - for standard output"),
	}
	flags := cmd.Flags()
	recipients := flags.StringArray("recipient", nil, "public key of who can read the backup (age1…); may be repeated")
	file := flags.String("recipients-file", "", "file with such keys, one a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := recipientsOf(*recipients, *file)
		if err != nil {
			return err
		}
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		c.timeout = timeoutOf(cmd, backupPatience)
		return c.backup(cmd, args[0], to)
	}
	cmd.AddCommand(newBackupVerify())
	return cmd
}

// recipientsOf reads what the flags name.
func recipientsOf(given []string, file string) ([]string, error) {
	list := slices.Clone(given)
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the recipients: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				list = append(list, line)
			}
		}
	}
	if len(list) == 0 {
		return nil, usagef("say who can read the backup: name a recipient, age1… (age-keygen makes such a key), or a file of them")
	}
	for _, r := range list {
		if strings.HasPrefix(strings.ToUpper(r), "AGE-SECRET-KEY-") {
			return nil, usagef("that is a private key: keep it to yourself, and give the public one, which age-keygen -y tells of it")
		}
	}
	return list, nil
}

func (c *client) backup(cmd *cobra.Command, to string, recipients []string) error {
	if to != "-" && !isDir(to) && exists(to) {
		return fmt.Errorf("%s is there already, and backups are not written over; name another file", to)
	}
	ctx, cancel := contextWithin(cmd, c.timeout)
	defer cancel()
	resp, err := c.send(ctx, call{method: http.MethodPost, path: "backup", query: url.Values{"recipient": recipients}})
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if to == "-" {
		_, err := io.Copy(cmd.OutOrStdout(), resp.Body)
		return c.cut(err)
	}
	if isDir(to) {
		to = filepath.Join(to, nameOfBackup(resp))
	}
	size, err := writeBackup(to, resp.Body)
	if err != nil {
		return c.cut(err)
	}
	s := stdout(cmd)
	s.printf("%s revision %s is in %s, %s\n", s.good("✓"), clean(resp.Header.Get("Weir-Revision")), to, sizeText(size))
	s.line(s.faint("  verify it where the private key is: weir backup verify " + filepath.Base(to) + " --identity KEYFILE"))
	return nil
}

// cut explains a backup that did not arrive whole.
func (c *client) cut(err error) error {
	if err != nil {
		return fmt.Errorf("the backup did not arrive whole and was not kept: %w", err)
	}
	return nil
}

// nameOfBackup is what the server proposes, if that is a plain name.
func nameOfBackup(resp *http.Response) string {
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
	name := params["filename"]
	if err != nil || name != filepath.Base(name) || !strings.HasPrefix(name, "weir-") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "weir-" + wallClock().UTC().Format("20060102T150405Z") + ".age"
	}
	return name
}

// writeBackup writes beside and renames, so that a file of that name is always whole.
func writeBackup(path string, from io.Reader) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	size, err = io.Copy(f, from)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return size, err
	}
	// Link refuses to write over what came meanwhile, as rename would not.
	if err := os.Link(f.Name(), path); err != nil {
		return size, err
	}
	return size, os.Remove(f.Name())
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// sizeText is for people: 12.3 MB.
func sizeText(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func newBackupVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify FILE --identity KEYFILE",
		Short: "Read a backup to its end and show what is in it",
		Long: `Read a backup to its end and show what is in it. A file that was cut, changed, or is none of Weir's is refused.
It needs no control plane. With the sealing key it also makes sure that the backup was made under that and that
every secret in it opens, which is what a restore needs.`,
		Example: `  weir backup verify weir-20300501T030000Z-r1041.age --identity backup.key
  weir backup verify weir.age --identity backup.key --sealing-key-file /etc/weir/sealing.key
  weir backup verify weir.age --identity backup.key -o json | jq .revision`,
		Args: exactArgs(1, "say which backup"),
	}
	flags := cmd.Flags()
	identity := flags.String("identity", "", "file with the private key, as age-keygen writes it (required)")
	sealing := flags.String("sealing-key-file", "", "file with the sealing key of the control plane")
	output := addOutputFlag(cmd, "text", "json", "yaml")
	_ = cmd.MarkFlagRequired("identity")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ids, err := secrets.ReadPrivateFile(*identity)
		if err != nil {
			return fmt.Errorf("read --identity: %w", err)
		}
		var key []byte
		if *sealing != "" {
			if key, err = secrets.ReadPrivateFile(*sealing); err != nil {
				return fmt.Errorf("read --sealing-key-file: %w", err)
			}
		}
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := server.VerifyBackup(f, string(ids), string(key))
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if *output != "text" {
			return printValue(cmd.OutOrStdout(), *output, info)
		}
		printBackup(stdout(cmd), &info, *sealing != "")
		return nil
	}
	return cmd
}

func printBackup(s *screen, info *server.BackupInfo, sealed bool) {
	s.printf("%s a whole backup of revision %s, made %s by weir %s\n", s.good("✓"), itoa(info.Revision), clock(info.At), clean(info.Version))
	total := 0
	for _, kind := range slices.Sorted(mapKeys(info.Objects)) {
		s.printf("  %7d %s\n", info.Objects[kind], clean(kind))
		total += info.Objects[kind]
	}
	s.printf("  %s, %s, %s, %s of the platform\n", count(total, "object", "objects"), count(info.Changes, "change", "changes"),
		count(info.Secrets, "sealed secret", "sealed secrets"), count(info.Platform, "sealed value", "sealed values"))
	if info.Pending > 0 {
		s.line(s.faint(fmt.Sprintf("  what the last %s made of the objects is in it and not counted", count(int(info.Pending), "change", "changes"))))
	}
	if sealed {
		s.line("  made under this sealing key, which opens every secret in it")
		return
	}
	s.line(s.faint("  whether a sealing key opens its secrets tells --sealing-key-file"))
}
