# tree.pm: trees with known peculiarities, and an oracle that finds duplicates in them by itself.
package tree;
use strict;
use warnings;
use Digest::SHA;
use Encode ();
use Exporter 'import';
our @EXPORT = qw(put make_odd_tree find_duplicates shown);

# put PATH, CONTENT: a file, with the directories above it. Paths may be longer than PATH_MAX.
sub put {
    my ($path, $content) = @_;
    my $from = here();
    my @parts = split m{/}, $path;
    my $name = pop @parts;
    chdir '/' if $path =~ m{^/};
    for my $part (grep { $_ ne '' } @parts) {
        mkdir $part;
        chdir $part or die "chdir $part: $!";
    }
    open my $file, '>:raw', $name or die "$path: $!";
    print $file $content;
    close $file or die "$path: $!";
    chdir $from or die "$from: $!";
}

sub here { return readlink '/proc/self/cwd' }

# Everything that a name, a kind of file or a content can be.
sub make_odd_tree {
    my ($root) = @_;
    my $big = join '', map { pack 'N', $_ * 2654435761 % 2**32 } 1 .. 50000;
    put("$root/a", 'same');
    put("$root/b/a", 'same');
    put("$root/b/c", 'Same');
    put("$root/empty", '');
    put("$root/b/also empty", '');
    put("$root/b/deep/er/empty", '');
    put("$root/big", $big);
    put("$root/b/big again", $big);
    put("$root/b/big but the last byte", substr($big, 0, -1) . 'x');
    put("$root/new\nline\ttab", 'odd name');
    put("$root/not utf-8 \xff\xfe", 'odd name');
    put("$root/caf\xc3\xa9 \xe2\x98\x83", 'odd name');
    put("$root/back\\slash \"quotes\" \x1b[31m \xc2\x9b31m", 'odd name');
    put("$root/ leading and trailing ", 'odd name');
    put("$root/-rf", 'odd name');
    put("$root/" . 'n' x 255, 'odd name');
    put("$root/" . join('/', map { 'd' x 250 } 1 .. 20) . '/far below', 'same');
    put("$root/many/$_/f", "group " . $_ % 15) for 1 .. 45;
    link "$root/a", "$root/hard link" or die "link: $!";
    symlink 'a', "$root/link to a file" or die "symlink: $!";
    symlink 'nowhere', "$root/dangling" or die "symlink: $!";
    symlink '..', "$root/b/loop" or die "symlink: $!";
    system('mkfifo', "$root/fifo") == 0 or die 'mkfifo';
}

# Bytes as the program shows them.
sub shown {
    my ($bytes) = @_;
    my %letters = ("\n" => '\n', "\t" => '\t', "\r" => '\r');
    my $shown = '';
    while (length $bytes) {
        my $rest = $bytes;
        my $good = Encode::decode('UTF-8', $rest, Encode::FB_QUIET);
        for my $character (split //, $good) {
            my $raw = Encode::encode('UTF-8', $character);
            $shown .= $character eq '\\' ? '\\\\'
                : $character =~ /[\x00-\x1f\x7f-\x9f]/ ? $letters{$character} // join('', map { sprintf '\x%02x', ord } split //, $raw)
                : $character;
        }
        last if $rest eq '';
        $shown .= sprintf '\x%02x', ord substr($rest, 0, 1);
        $bytes = substr $rest, 1;
    }
    return $shown;
}

# Regular files below the current directory: path → [size, hash]. Goes down by chdir, so no path is too long.
sub hash_all {
    my ($prefix, $found) = @_;
    opendir my $directory, '.' or die "$prefix: $!";
    my @names = grep { $_ ne '.' && $_ ne '..' } readdir $directory;
    closedir $directory;
    for my $name (@names) {
        lstat $name;
        if (-f _) {
            $found->{"$prefix$name"} = [-s _, Digest::SHA->new(256)->addfile($name, 'b')->hexdigest];
        } elsif (-d _) {
            chdir $name or die "$prefix$name: $!";
            hash_all("$prefix$name/", $found);
            chdir '..' or die "..: $!";
        }
    }
}

# {files, bytes, duplicate_groups, duplicate_files, wasted_bytes, groups: {"SIZE SHA-256" => [sorted shown paths]}}
sub find_duplicates {
    my ($root) = @_;
    my $from = here();
    my (%found, %groups);
    chdir $root or die "$root: $!";
    hash_all("$root/", \%found);
    chdir $from;
    my %sum = (files => scalar keys %found, bytes => 0, duplicate_groups => 0, duplicate_files => 0, wasted_bytes => 0);
    for my $path (keys %found) {
        $sum{bytes} += $found{$path}[0];
        push @{ $groups{"@{ $found{$path} }"} }, shown($path);
    }
    for my $key (keys %groups) {
        my $members = $groups{$key} = [sort @{ $groups{$key} }];
        delete $groups{$key}, next if @$members < 2;
        my ($size) = split ' ', $key;
        $sum{duplicate_groups}++;
        $sum{duplicate_files} += @$members - 1;
        $sum{wasted_bytes} += $size * (@$members - 1);
    }
    return { %sum, groups => \%groups };
}

1;
