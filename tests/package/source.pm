# source.pm: what the checks of the source tree share: the files, their text without comments, and the verdict.
package source;
use strict;
use warnings;
use Exporter 'import';
use File::Find;
our @EXPORT = qw(files slurp without_comments includes complain verdict);

my $complaints = 0;

# Every file below these folders of root whose name matches, as paths relative to root, sorted.
sub files {
    my ($root, $pattern, @folders) = @_;
    my @found;
    my @there = grep { -d $_ } map { "$root/$_" } @folders;
    find({ no_chdir => 1, wanted => sub { push @found, substr($_, length($root) + 1) if -f && /$pattern/ } }, @there)
        if @there;
    return sort @found;
}

sub slurp {
    my ($path) = @_;
    open(my $in, '<', $path) or die "$path: $!\n";
    local $/;
    my $text = <$in>;
    return defined $text ? $text : '';
}

# Literals are matched first, so that a "//" inside one is not taken for a comment; line ends stay, for line numbers.
sub without_comments {
    my ($text) = @_;
    $text =~ s{("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(/\*.*?\*/|//[^\n]*)}
              { defined $1 ? $1 : ' ' . ($2 =~ s/[^\n]//gr) }gse;
    return $text;
}

# The names in #include lines, as [name, line].
sub includes {
    my ($text) = @_;
    my @found;
    my $line = 0;
    for (split /\n/, without_comments($text)) {
        $line++;
        push @found, [$1, $line] if /^\s*#\s*include\s*[<"]([^>"]+)[>"]/;
    }
    return @found;
}

sub complain
{
    print "$_[0]\n";
    return ++$complaints;
}

sub verdict {
    my ($what, $count) = @_;
    die "$what: nothing to look at\n" unless $count;
    print "$what: $count files, $complaints complaints\n";
    exit($complaints ? 1 : 0);
}

1;
