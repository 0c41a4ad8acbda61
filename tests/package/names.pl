#!/usr/bin/perl
# names.pl ROOT: no task manager's name among the identifiers and string literals of lib/ and cli/.
#
# Names are the folders of adapters/ that hold an adapter.c, the enum in adapters/factory.c, and the ones planned. "local"
# is also a word of the language and of C, so there only a manager's sense counts: the literal "local" or "local:…", and
# identifiers of ours with that part, mfi_local_create.
use strict;
use warnings;
use File::Glob 'bsd_glob';
use FindBin;
use lib $FindBin::Bin;
use source;

my $root = $ARGV[0] or die "usage: names.pl ROOT\n";

my %names = map { $_ => 1 } qw(taskiq celery hatchet);
$names{ (m{([^/]+)/adapter\.c$})[0] } = 1 for bsd_glob("$root/adapters/*/adapter.c");
if (-f "$root/adapters/factory.c") {
    my $factory = slurp("$root/adapters/factory.c");
    $names{ lc $1 } = 1 while $factory =~ /\bMFI_MANAGER_(?!COUNT\b|NONE\b|MAX\b)([A-Z]+)\b/g;
}
delete $names{local};
my $managers = join '|', sort keys %names;

my @sources = files($root, qr/\.[ch](\.in)?$/, qw(lib cli));
for my $path (@sources) {
    my $line = 0;
    for (split /\n/, without_comments(slurp("$root/$path"))) {
        $line++;
        complain("$path:$line: names a task manager: $1") if /($managers)/i;
        complain("$path:$line: names the local manager: $1") if /("local(?::[^"]*)?")/;
        complain("$path:$line: names the local manager: $1") if /\b(mfi?_(?!thread_local)(?:\w*_)?local(?:_\w*)?)\b/i;
    }
}
verdict("managers' names ($managers|local)", scalar @sources);
