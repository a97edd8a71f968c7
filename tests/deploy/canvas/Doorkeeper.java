import java.util.concurrent.TimeUnit;
import org.apache.nifi.authentication.AuthenticationResponse;
import org.apache.nifi.authentication.LoginCredentials;
import org.apache.nifi.authentication.LoginIdentityProvider;
import org.apache.nifi.authentication.LoginIdentityProviderConfigurationContext;
import org.apache.nifi.authentication.LoginIdentityProviderInitializationContext;
import org.apache.nifi.authentication.exception.InvalidLoginCredentialsException;

/** Lets one user in. NiFi's own providers of logins are not published as artifacts; what asks it, and the tokens, are NiFi's. */
public class Doorkeeper implements LoginIdentityProvider {
    public void initialize(final LoginIdentityProviderInitializationContext context) {
    }

    public void onConfigured(final LoginIdentityProviderConfigurationContext context) {
    }

    public AuthenticationResponse authenticate(final LoginCredentials given) {
        if (!"admin".equals(given.getUsername()) || !"correct horse".equals(given.getPassword())) {
            throw new InvalidLoginCredentialsException("The supplied username and password are not valid.");
        }
        return new AuthenticationResponse("admin", "admin", TimeUnit.HOURS.toMillis(1), "Doorkeeper");
    }

    public void preDestruction() {
    }
}
