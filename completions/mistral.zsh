#compdef mistral

_mistral_completion() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _MISTRAL_COMPLETE=complete_zsh mistral)
}

compdef _mistral_completion mistral
