package store

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"weir"
	"weir/internal/secrets"
)

// Identities are private keys that open backups.
type Identities struct{ list []age.Identity }

// ParseIdentities reads private keys of age ("AGE-SECRET-KEY-1…"), one a line, as age-keygen writes them.
func ParseIdentities(text string) (Identities, error) {
	list, err := age.ParseIdentities(strings.NewReader(text))
	if err != nil {
		// Not the parser's error: it may quote a key.
		return Identities{}, errors.New("it holds no private key of age, such as age-keygen writes (AGE-SECRET-KEY-1…)")
	}
	return Identities{list}, nil
}

// VerifyBackup reads a backup to its end and says what is in it. Every cut, change or foreign file is an error.
// With a sealing key it also makes sure that the backup was made under that, and that it opens all in it.
func VerifyBackup(in io.Reader, ids Identities, ring *secrets.Keyring) (BackupInfo, error) {
	info, err := readBackup(in, ids, ring, func(BackupInfo, record) error { return nil })
	if err != nil {
		return BackupInfo{}, fmt.Errorf("read backup: %w", err)
	}
	return info, nil
}

func readBackup(in io.Reader, ids Identities, ring *secrets.Keyring, f func(BackupInfo, record) error) (BackupInfo, error) {
	if len(ids.list) == 0 {
		return BackupInfo{}, errors.New("an identity of age is needed to open it")
	}
	opened, err := age.Decrypt(in, ids.list...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return BackupInfo{}, errors.New("it is encrypted to other recipients than this identity's")
	case err != nil:
		return BackupInfo{}, fmt.Errorf("it is no file of age, or was cut or changed: %w", err)
	}
	unpacked, err := gzip.NewReader(opened)
	if err != nil {
		return BackupInfo{}, fmt.Errorf("it is no backup of Weir, or was cut or changed: %w", err)
	}
	unpacked.Multistream(false)
	info, err := scanBackup(unpacked, ring, func(info BackupInfo, r record) error {
		if err := openable(ring, r); err != nil {
			return err
		}
		return f(info, r)
	})
	if err != nil {
		return info, err
	}
	if n, err := io.Copy(io.Discard, opened); err != nil || n > 0 {
		return info, errors.Join(errors.New("something follows its end"), err)
	}
	return info, nil
}

// openable makes sure that what is sealed can be opened, and is what its key says.
func openable(ring *secrets.Keyring, r record) error {
	if ring == nil {
		return nil
	}
	_, err := unsealRecord(ring, r)
	if errors.Is(err, secrets.ErrKeyUnknown) {
		return fmt.Errorf("its secrets are sealed with another key than this sealing key; give the one of the control plane that made it: %w", err)
	}
	return err
}

// unsealRecord opens a record that is sealed; the zero Secret is of one that is not.
func unsealRecord(ring *secrets.Keyring, r record) (secrets.Secret, error) {
	key := root + r.Key
	name := sealedName{weir.Ref{Kind: platformKind, Name: strings.TrimPrefix(key, prefixPlatform)}, r.Generation}
	switch {
	case strings.HasPrefix(key, prefixPlatform):
	case strings.HasPrefix(key, prefixSealed):
		ref, rest, ok := parseObjectKey(key, prefixSealed)
		generation, err := parseRevision(rest)
		if !ok || err != nil {
			return secrets.Secret{}, fmt.Errorf("key %q is odd", r.Key)
		}
		name = sealedName{ref, generation}
	default:
		return secrets.Secret{}, nil
	}
	var sealed secrets.Sealed
	if err := sealed.UnmarshalBinary(r.Value); err != nil {
		return secrets.Secret{}, fmt.Errorf("%s: %w", r.Key, err)
	}
	return ring.Open(name.Kind, name.Name, name.Generation, sealed)
}
